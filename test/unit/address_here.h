/* address_here.h - addresses of this machine, and a folder for one of them. */
#ifndef EVENKEEL_TEST_ADDRESS_HERE_H
#define EVENKEEL_TEST_ADDRESS_HERE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "evenkeel/net/address.h"

static char address_dir[64], address_path[96];

static inline bool
address_begin(void)
{
	(void)snprintf(
	    address_dir, sizeof(address_dir), "/tmp/test_address.XXXXXX");
	if (mkdtemp(address_dir) == NULL)
		return false;
	(void)snprintf(
	    address_path, sizeof(address_path), "%s/socket", address_dir);
	return true;
}

static inline bool
address_end(void)
{
	(void)unlink(address_path);
	return rmdir(address_dir) == 0;
}

static inline struct address
address_of(enum cfg_addr_kind kind, const char *host, uint16_t port)
{
	const struct cfg_addr from = {.kind = kind, .host = host, .port = port};
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct address a;

	assert_true(address_resolve(&a, &from, &why));
	return a;
}

static inline struct address
address_any_port(void)
{
	return address_of(CFG_ADDR_INET4, "127.0.0.1", 0);
}

#endif
