#include "evenkeel/net/conn_tls.h"

#include "evenkeel/net/tls.h"
#include "evenkeel/net/tls_io.h"

/* Takes `ssl` over; NULL: there was no memory for it. */
static bool
secure(struct conn *c, struct ssl_st *ssl)
{
	CHECK(c->tls == NULL && c->out == NULL);
	c->tls = ssl == NULL ? NULL : tls_create(c, ssl);
	return c->tls != NULL;
}

bool
conn_secure_server(struct conn *c, struct tls_server *s)
{
	return secure(c, tls_server_stream(s));
}

bool
conn_secure_client(struct conn *c, struct tls_client *t, const char *name,
    uint64_t identity, struct tls_slot *slot)
{
	CHECK(c->in == NULL);
	return secure(c, tls_client_stream(t, name, identity, slot));
}

enum conn_io
conn_handshake(struct conn *c)
{
	return tls_handshake(c);
}

void
conn_unsecure(struct conn *c)
{
	tls_free(c->tls);
	c->tls = NULL;
}

const char *
conn_why(const struct conn *c)
{
	return c->tls == NULL ? "" : c->tls->why;
}

bool
conn_was_refused(const struct conn *c)
{
	return c->tls != NULL && c->tls->refused;
}

bool
conn_resumed(const struct conn *c)
{
	return SSL_session_reused(c->tls->ssl);
}

bool
conn_put_subject(const struct conn *c, struct textbuf *out)
{
	return tls_put_subject(out, c->tls->ssl);
}

bool
conn_has_part(const struct conn *c)
{
	return c->tls != NULL && SSL_has_pending(c->tls->ssl);
}

uint64_t
conn_wire_in(const struct conn *c)
{
	return c->tls == NULL ? c->bytes_in : c->tls->wire_in;
}

uint64_t
conn_wire_out(const struct conn *c)
{
	return c->tls == NULL ? c->bytes_out : c->tls->wire_out;
}
