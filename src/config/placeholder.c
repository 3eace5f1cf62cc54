typedef int placeholder_only; /* until the layer has its first module */
