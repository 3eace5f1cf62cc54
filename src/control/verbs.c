#include "evenkeel/control/verbs.h"

#include <stdlib.h>
#include <unistd.h>

#include "evenkeel/http/framing.h"

#define REQUEST_BYTES (VERBS_TARGET_BYTES + 128)
#define FIELDS        32

static const char NO_ANSWER[] = "what listens there gave no proper answer";

/* Takes the head off.  The status, or 0 when it is no HTTP response, or not the
 * whole of one. */
static unsigned
take_head(char *bytes, size_t *len)
{
	static const struct h1_limits limits = {
	    .head_bytes = 65536, .fields = FIELDS};
	struct h1_field fields[FIELDS];
	struct h1_framing framing;
	struct h1_head head;

	h1_head_init(&head, H1_RESPONSE, &limits, fields);
	if (h1_head_parse(&head, bytes, *len) != H1_DONE ||
	    h1_framing_response(&head, bytes, H1_METHOD_GET, &framing) != H1_OK)
		return 0;
	*len -= head.len;
	/* Whoever answers may have ended in the middle of it. */
	if (framing.has_length && framing.given_length != *len)
		return 0;
	memmove(bytes, bytes + head.len, *len);
	return head.status;
}

enum ask_result
verbs_call(const char *path, const char *method, struct span target,
    struct verbs_answer *answer, const char **why)
{
	char bytes[REQUEST_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));
	enum ask_result result;

	textbuf_str(&out, method);
	textbuf_byte(&out, ' ');
	textbuf_put(&out, target);
	textbuf_lit(&out,
	    " HTTP/1.1\r\nHost: evenkeel\r\n"
	    "Connection: close\r\n\r\n");
	CHECK(!out.full);
	result = ask_unix(
	    path, textbuf_span(&out), &answer->text, &answer->len, why);
	if (result != ASK_OK)
		return result;
	answer->status = take_head(answer->text, &answer->len);
	if (answer->status != 0)
		return ASK_OK;
	free(answer->text);
	answer->text = NULL;
	*why = NO_ANSWER;
	return ASK_FAILED;
}

enum ask_result
verbs_get(const char *path, const char *target, char **answer, size_t *len,
    const char **why)
{
	struct verbs_answer a;
	enum ask_result result =
	    verbs_call(path, "GET", span_of(target), &a, why);

	*answer = NULL;
	if (result != ASK_OK)
		return result;
	if (a.status == 200) {
		*answer = a.text;
		*len = a.len;
		return ASK_OK;
	}
	free(a.text);
	*why = NO_ANSWER;
	return ASK_FAILED;
}

void
verbs_put_default_path(struct textbuf *out)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() != 0 && runtime != NULL && runtime[0] == '/')
		textbuf_str(out, runtime);
	else
		textbuf_lit(out, "/run");
	textbuf_lit(out, "/evenkeel.sock");
	textbuf_byte(out, '\0');
}
