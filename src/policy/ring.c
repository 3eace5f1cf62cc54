#include "evenkeel/policy/ring.h"

/* splitmix64's finish: every bit of the input reaches every bit of the
 * output. */
static uint64_t
mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

uint64_t
ring_hash(struct span key)
{
	uint64_t h = 0xcbf29ce484222325U;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3U;
	return mix(h);
}

uint32_t
ring_points_per_turn(const uint32_t *turns, size_t n)
{
	uint64_t sum = 0, each;

	for (size_t i = 0; i < n; i++)
		sum += turns[i];
	each = sum == 0 ? RING_POINTS : RING_POINTS_ALL / sum;
	if (each > RING_POINTS)
		each = RING_POINTS;
	return each < RING_POINTS_MIN ? RING_POINTS_MIN : (uint32_t)each;
}

static bool
before(const struct ring_point *a, const struct ring_point *b)
{
	return a->at < b->at || (a->at == b->at && a->owner < b->owner);
}

/* Lets the point at `root` sink to its place in the heap. */
static void
sink(struct ring_point *p, size_t root, size_t n)
{
	struct ring_point moving = p[root];

	for (;;) {
		size_t child = 2 * root + 1;

		if (child >= n)
			break;
		if (child + 1 < n && before(&p[child], &p[child + 1]))
			child++;
		if (!before(&moving, &p[child]))
			break;
		p[root] = p[child];
		root = child;
	}
	p[root] = moving;
}

/* Heapsort: in place, and never slower than n log n. */
static void
sort(struct ring_point *p, size_t n)
{
	for (size_t i = n / 2; i > 0; i--)
		sink(p, i - 1, n);
	for (size_t end = n; end > 1; end--) {
		struct ring_point last = p[end - 1];

		p[end - 1] = p[0];
		p[0] = last;
		sink(p, 0, end - 1);
	}
}

void
ring_build(struct ring_point *points, const uint64_t *names,
    const uint32_t *turns, size_t n, uint32_t per_turn)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		for (uint64_t k = 0; k < (uint64_t)turns[i] * per_turn; k++)
			points[count++] = (struct ring_point){
			    .at = mix(names[i] + k * 0x9e3779b97f4a7c15U),
			    .owner = (uint32_t)i};
	sort(points, count);
}

size_t
ring_find(const struct ring_point *points, size_t count, uint64_t hash)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (points[middle].at < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low == count ? 0 : low;
}
