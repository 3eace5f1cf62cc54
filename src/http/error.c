#include "evenkeel/http/error.h"

#include <stddef.h>

struct reason {
	const char *text;
	unsigned status;
};

static const struct reason reasons[H1_ERRORS] = {
    [H1_OK] = {"no error", 0},
    [H1_E_TLS] = {"a TLS handshake where plain HTTP is spoken", 400},
    [H1_E_METHOD] = {"invalid method", 400},
    [H1_E_TARGET] = {"invalid request target", 400},
    [H1_E_VERSION] = {"invalid HTTP version", 400},
    [H1_E_VERSION_HIGH] = {"HTTP version not supported", 505},
    [H1_E_STATUS] = {"invalid status code or reason", 400},
    [H1_E_LINE_END] = {"bare CR or LF as line end", 400},
    [H1_E_FIELD_NAME] = {"invalid field name", 400},
    [H1_E_FIELD_VALUE] = {"control byte in a field value", 400},
    [H1_E_FOLD] = {"folded field line", 400},
    [H1_E_LINE_LONG] = {"request line too long", 414},
    [H1_E_HEAD_LONG] = {"head too long", 431},
    [H1_E_FIELDS_MANY] = {"too many fields", 431},
    [H1_E_HOST] = {"missing, repeated or malformed Host", 400},
    [H1_E_LENGTH] = {"malformed Content-Length", 400},
    [H1_E_LENGTH_REPEATED] = {"more than one Content-Length", 400},
    [H1_E_LENGTH_AND_CODING] = {"both Content-Length and Transfer-Encoding",
	400},
    [H1_E_CODING] = {"malformed Transfer-Encoding, or one in HTTP/1.0", 400},
    [H1_E_CODING_UNKNOWN] = {"transfer coding other than chunked", 501},
    [H1_E_METHOD_REFUSED] = {"method not allowed", 405},
    [H1_E_EXPECT] = {"unknown expectation", 417},
    [H1_E_CHUNK_SIZE] = {"invalid chunk size", 400},
    [H1_E_CHUNK_EXTENSION] = {"invalid or too long chunk extension", 400},
    [H1_E_CHUNK_END] = {"no line end behind the data of a chunk", 400},
    [H1_E_TRAILER] = {"malformed or too long trailer section", 400},
};

const char *
h1_error_text(enum h1_error e)
{
	return (size_t)e < H1_ERRORS ? reasons[e].text : "unknown error";
}

unsigned
h1_error_status(enum h1_error e)
{
	return (size_t)e < H1_ERRORS ? reasons[e].status : 400;
}
