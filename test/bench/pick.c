/*
 * Picks backends, nothing else: for callgrind, with few and with many.
 * usage: pick BACKENDS PICKS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evenkeel/proxy/backend.h"

/* Not inlined, so that callgrind can count it by name. */
static __attribute__((noinline)) struct backend *
pick(struct upstream *u)
{
	const struct rotation *r =
	    atomic_load_explicit(&u->rotation, memory_order_acquire);

	return r == NULL ? NULL : rotation_at(r, upstream_turn(u));
}

static struct rotation *
make_rotation(size_t n)
{
	struct address address;
	struct backend **all = calloc(n, sizeof(struct backend *));
	uint32_t *weights = calloc(n, sizeof(*weights));
	memset(&address, 0, sizeof(address));
	for (size_t i = 0; i < n && all != NULL && weights != NULL; i++) {
		weights[i] = 1;
		all[i] = backend_create("b", SPAN_NONE, &address, NULL, 1, 1);
		if (all[i] == NULL)
			return NULL;
	}
	return all == NULL || weights == NULL
	    ? NULL
	    : rotation_create(all, weights, n, false);
}

int
main(int argc, char **argv)
{
	size_t n = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	size_t picks = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct upstream *u = upstream_create("web", 1);
	struct rotation *r = n == 0 ? NULL : make_rotation(n);
	size_t none = 0;
	if (u == NULL || r == NULL) {
		fprintf(stderr, "usage: pick BACKENDS PICKS\n");
		return 2;
	}
	atomic_store(&u->rotation, r);
	for (size_t i = 0; i < picks; i++)
		none += pick(u) == NULL;
	printf("%zu picks, %zu without a backend\n", picks, none);
	return none > 0;
}
