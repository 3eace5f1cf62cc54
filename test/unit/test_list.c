/* layer: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/list.h"

struct item {
	int before;
	struct list link;
	int value;
};

/* The values in `head` are exactly those given, up to a 0, both ways. */
static void
assert_values(struct list *head, const int *values)
{
	struct list *back = head->prev;
	int n = 0;

	LIST_EACH(link, head)
	assert_int_equal(
	    LIST_OWNER(link, struct item, link)->value, values[n++]);
	assert_int_equal(values[n], 0);
	for (; back != head; back = back->prev)
		assert_int_equal(
		    LIST_OWNER(back, struct item, link)->value, values[--n]);
	assert_int_equal(n, 0);
	assert_int_equal(list_empty(head), values[0] == 0);
}

#define assert_list(head, ...) \
	assert_values((head), (const int[]){__VA_ARGS__, 0})

static void
test_push_and_pop(void **state)
{
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop_front(&head));
	list_push_back(&head, &b.link);
	list_push_back(&head, &c.link);
	list_push_front(&head, &a.link);
	assert_list(&head, 1, 2, 3);
	assert_ptr_equal(list_pop_front(&head), &a.link);
	assert_true(list_empty(&a.link));
	assert_list(&head, 2, 3);
	assert_ptr_equal(list_pop_front(&head), &b.link);
	assert_ptr_equal(list_pop_front(&head), &c.link);
	assert_null(list_pop_front(&head));
	assert_true(list_empty(&head));
}

static void
test_remove(void **state)
{
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	struct list head;

	(void)state;
	list_init(&head);
	list_push_back(&head, &a.link);
	list_push_back(&head, &b.link);
	list_push_back(&head, &c.link);
	list_remove(&b.link);
	assert_true(list_empty(&b.link));
	assert_list(&head, 1, 3);
	/* Twice is harmless. */
	list_remove(&b.link);
	assert_list(&head, 1, 3);
	list_remove(&c.link);
	list_remove(&a.link);
	assert_true(list_empty(&head));
	list_push_back(&head, &b.link);
	assert_list(&head, 2);
}

static void
test_splice(void **state)
{
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	struct list to, from;

	(void)state;
	list_init(&to);
	list_init(&from);
	list_splice_back(&to, &from);
	assert_true(list_empty(&to));
	list_push_back(&from, &b.link);
	list_push_back(&from, &c.link);
	list_push_back(&to, &a.link);
	list_splice_back(&to, &from);
	assert_true(list_empty(&from));
	assert_list(&to, 1, 2, 3);
	list_splice_back(&from, &to);
	assert_true(list_empty(&to));
	assert_list(&from, 1, 2, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_push_and_pop),
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_splice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
