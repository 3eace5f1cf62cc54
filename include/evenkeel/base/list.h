/*
 * list - intrusive circular doubly linked list.
 *
 * A head and its members are both `struct list`; a member that is in no list
 * points to itself, so taking it off twice is harmless.
 *
 * Layer: base.  Pure.
 */
#ifndef EVENKEEL_BASE_LIST_H
#define EVENKEEL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

/* The object of `type` whose `member` is `link`. */
#define LIST_OWNER(link, type, member) \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks from the oldest to the newest; the body must not take members off
 * (pop from the front instead). */
#define LIST_EACH(link, head)                                  \
	for (struct list *link = (head)->next; link != (head); \
	     link = link->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

/* No members; or, asked of a member, in no list. */
static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_push_back(struct list *head, struct list *link)
{
	link->next = head;
	link->prev = head->prev;
	head->prev->next = link;
	head->prev = link;
}

static inline void
list_push_front(struct list *head, struct list *link)
{
	list_push_back(head->next, link);
}

static inline void
list_remove(struct list *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_init(link);
}

/* Takes the oldest member off and returns it, or NULL when there is none. */
static inline struct list *
list_pop_front(struct list *head)
{
	struct list *link = head->next;

	if (link == head)
		return NULL;
	list_remove(link);
	return link;
}

/* Moves all members of `from` behind those of `to`; `from` is then empty. */
static inline void
list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
