/*
 * Runs a fuzz target once on each file of the directories given: a regression
 * test that needs no fuzzer.
 */
#include <dirent.h>
#include <stdio.h>

#include "fuzz_input.h"

static unsigned
run_file(const char *path)
{
	static uint8_t bytes[FUZZ_TEXT_BYTES + 16];
	FILE *file = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (file == NULL)
		return 0;
	n = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	exact = (uint8_t *)fuzz_copy((const char *)bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

static unsigned
run_directory(const char *name)
{
	DIR *directory = opendir(name);
	struct dirent *entry;
	char path[4096];
	unsigned files = 0;

	if (directory == NULL)
		return 0;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
		files += run_file(path);
	}
	closedir(directory);
	return files;
}

int
main(int argc, char **argv)
{
	unsigned files = 0;

	for (int i = 1; i < argc; i++)
		files += run_directory(argv[i]);
	printf("%u files\n", files);
	return files > 0 ? 0 : 1;
}
