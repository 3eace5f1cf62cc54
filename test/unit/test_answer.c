/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "evenkeel/control/answer.h"

#define CAP 2048U

static struct cfg_statuses good[] = {{200, 399}};
static struct cfg_pool cfg;

static const struct sample {
	const char *bytes;
	const char *text; /* health_body */
	enum answer_verdict verdict;
	const char *why; /* how it begins */
} samples[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", ANSWER_GOOD, ""},
    {"HTTP/1.1 399 OK\r\n\r\n", "", ANSWER_GOOD, ""},
    {"HTTP/1.1 400 No\r\n\r\n", "", ANSWER_BAD, "status 400"},
    {"HTTP/1.1 101 S\r\n\r\n", "", ANSWER_BAD, "status 101"},
    {"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", ANSWER_GOOD, ""},
    {"HTTP/1.1 200 OK\r\n", "", ANSWER_MORE, "closed inside the response head"},
    {"", "", ANSWER_MORE, "closed without an answer"},
    {"SSH-2.0-OpenSSH\r\n", "", ANSWER_BAD, "malformed answer: "},
    {"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "", ANSWER_BAD,
	"malformed answer: invalid field name"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: "
     "chunked\r\n\r\n",
	"", ANSWER_BAD, "malformed answer: both"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nxxgoodx", "good", ANSWER_GOOD,
	""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nxxgood", "good", ANSWER_GOOD,
	""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxxgood", "good", ANSWER_BAD,
	"body does not contain \"good\""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxxgoo", "good", ANSWER_MORE,
	"closed inside the body"},
    {"HTTP/1.1 204 No\r\n\r\n", "good", ANSWER_BAD, "body does not contain"},
    {"HTTP/1.1 200 OK\r\n\r\nxxgoo", "good", ANSWER_MORE,
	"body does not contain"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nxgo\r\n1;a=b\r\no\r\n1\r\nd\r\n",
	"good", ANSWER_GOOD, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\ngoo\r\n0\r\n\r\n",
	"good", ANSWER_BAD, "body does not contain"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\ngoo", "good",
	ANSWER_BAD, "malformed answer: "},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static int
open_cfg(void **state)
{
	(void)state;
	cfg = (struct cfg_pool){.max_header_size = 32768,
	    .max_headers = 20,
	    .health = CFG_HEALTH_HTTP,
	    .health_statuses = good,
	    .n_health_statuses = 1,
	    .health_body = ""};
	return 0;
}

static struct buf *
make_buf(void)
{
	struct buf *b = calloc(1, sizeof(*b) + CAP);

	assert_non_null(b);
	b->cap = CAP;
	return b;
}

/* Gives the bytes in pieces of `piece`, as a connection does. */
static enum answer_verdict
give(struct answer *a, struct buf *in, const char *bytes, size_t len,
    size_t piece)
{
	enum answer_verdict v = ANSWER_MORE;

	for (size_t at = 0; at < len && v == ANSWER_MORE; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		buf_settle(in);
		assert_true(buf_room(in) >= n);
		memcpy(in->data + in->end, bytes + at, n);
		in->end += (uint32_t)n;
		v = answer_take(a, in);
		assert_true(buf_ok(in));
	}
	return v;
}

/* The verdict depends on the bytes, not on how they came. */
static void
however_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct sample *s = &samples[i];
		size_t len = strlen(s->bytes);

		cfg.health_body = s->text;
		for (size_t piece = 1; piece <= len + 1; piece++) {
			struct answer *a = malloc(answer_bytes(&cfg));
			struct buf *in = make_buf();
			enum answer_verdict v;

			assert_non_null(a);
			answer_init(a, &cfg, CAP);
			v = give(a, in, s->bytes, len, piece);
			assert_int_equal(v, s->verdict);
			if (v == ANSWER_MORE)
				answer_ended(a, len > 0);
			assert_memory_equal(a->why, s->why, strlen(s->why));
			free(in);
			free(a);
		}
	}
}

/* 1xx without end, a head without end: there is a verdict at some time. */
static void
every_flood_ends(void **state)
{
	static const char *const floods[] = {"HTTP/1.1 100 Continue\r\n\r\n",
	    "HTTP/1.1 103 E\r\nLink: x\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct answer *a = malloc(answer_bytes(&cfg));
		struct buf *in = make_buf();
		size_t given = 0;

		answer_init(a, &cfg, CAP);
		while (give(a, in, floods[i], strlen(floods[i]), 7) ==
		    ANSWER_MORE) {
			given += strlen(floods[i]);
			assert_true(given <= ANSWER_INTERIM_BYTES);
		}
		assert_string_equal(a->why, "too many informational responses");
		free(in);
		free(a);
	}
}

static void
heads_have_limits(void **state)
{
	struct answer *a = malloc(answer_bytes(&cfg));
	struct buf *in = make_buf();
	enum answer_verdict v;
	size_t given = 0;

	(void)state;
	answer_init(a, &cfg, CAP);
	v = give(a, in, "HTTP/1.1 200 OK\r\nX: ", 20, 20);
	for (; v == ANSWER_MORE; given++) {
		assert_true(given <= CAP);
		v = give(a, in, "x", 1, 1);
	}
	assert_int_equal(v, ANSWER_BAD);
	assert_string_equal(a->why, "malformed answer: head too long");
	free(in);
	free(a);
}

#define WITH_CFG(test) cmocka_unit_test_setup(test, open_cfg)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_CFG(however_it_is_cut),
	    WITH_CFG(every_flood_ends),
	    WITH_CFG(heads_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
