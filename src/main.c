#include "evenkeel/control/cli.h"
#include "evenkeel/net/tls.h"

int
main(int argc, char **argv)
{
	tls_init();
	return cli_main(argc, argv);
}
