#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CIPHER      "TLS_AES_128_GCM_SHA256"
#define GROUP       "X25519"
#define TRASH_BYTES (1U << 20)

static const unsigned char alpn[] = "\x08http/1.1";
static SSL_CTX *context; /* NULL: plain */
static bool resume;

static bool
wrong(const char *what)
{
	fprintf(stderr, "stream: %s\n", what);
	ERR_print_errors_fp(stderr);
	ERR_clear_error();
	errno = EPROTO;
	return false;
}

/* Tickets are good for one connection; the last one counts. */
static int
keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct stream *s = SSL_get_app_data(ssl);
	SSL_SESSION_free(s->session);
	s->session = session;
	return 1;
}

bool
stream_use_tls(bool with_tickets)
{
	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL ||
	    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(context, CIPHER) != 1 ||
	    SSL_CTX_set1_groups_list(context, GROUP) != 1 ||
	    SSL_CTX_set_alpn_protos(context, alpn, sizeof(alpn) - 1) != 0)
		return wrong("no context");
	/* Who answers was verified at the start; here it would only cost. */
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	resume = with_tickets;
	if (resume) {
		SSL_CTX_set_session_cache_mode(context,
		    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(context, keep_ticket);
	}
	return true;
}

static bool
open_tls(struct stream *s)
{
	int flags = fcntl(s->fd, F_GETFL);
	s->ssl = SSL_new(context);
	if (s->ssl == NULL || flags < 0 ||
	    fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    SSL_set_fd(s->ssl, s->fd) != 1)
		return wrong("no TLS stream");
	SSL_set_app_data(s->ssl, s);
	SSL_set_connect_state(s->ssl);
	if (s->session != NULL && SSL_set_session(s->ssl, s->session) != 1)
		return wrong("the ticket cannot be used");
	return true;
}

bool
stream_open(struct stream *s, unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((unsigned short)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;
	s->ssl = NULL;
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (s->fd < 0)
		return false;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		return false;
	return context == NULL || open_tls(s);
}

static bool
as_expected(const struct stream *s)
{
	if (SSL_version(s->ssl) != TLS1_3_VERSION ||
	    strcmp(SSL_get_cipher_name(s->ssl), CIPHER) != 0 ||
	    SSL_get_negotiated_group(s->ssl) != NID_X25519)
		return wrong("another version, cipher or group");
	if (stream_resumed(s) != (s->session != NULL))
		return wrong(s->session != NULL ? "the ticket was not taken"
						: "resumed without a ticket");
	return true;
}

/* What a call of OpenSSL that did not succeed means. */
static enum stream_result
outcome(const struct stream *s, int returned)
{
	if (SSL_get_error(s->ssl, returned) == SSL_ERROR_WANT_READ)
		return STREAM_WAIT;
	wrong("the TLS stream failed");
	return STREAM_BAD;
}

enum stream_result
stream_shake(struct stream *s)
{
	if (s->ssl == NULL)
		return STREAM_DONE;
	ERR_clear_error();
	int n = SSL_do_handshake(s->ssl);
	if (n != 1)
		return outcome(s, n);
	return as_expected(s) ? STREAM_DONE : STREAM_BAD;
}

bool
stream_resumed(const struct stream *s)
{
	return s->ssl != NULL && SSL_session_reused(s->ssl);
}

bool
stream_send(struct stream *s, const void *p, size_t len)
{
	if (s->ssl == NULL)
		return send(s->fd, p, len, MSG_NOSIGNAL) == (ssize_t)len;
	ERR_clear_error();
	return SSL_write(s->ssl, p, (int)len) == (int)len ||
	    wrong("the TLS stream takes no request");
}

static ssize_t
recv_tls(struct stream *s, void *p, size_t len)
{
	ERR_clear_error();
	int n = SSL_read(s->ssl, p, (int)len);
	if (n > 0)
		return n;
	if (SSL_get_error(s->ssl, n) == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (outcome(s, n) == STREAM_WAIT)
		errno = EAGAIN;
	return -1;
}

ssize_t
stream_recv(struct stream *s, void *p, size_t len)
{
	static char trash[TRASH_BYTES];
	if (s->ssl == NULL)
		return recv(s->fd, p, len, p == NULL ? MSG_TRUNC : 0);
	if (p != NULL)
		return recv_tls(s, p, len);
	return recv_tls(s, trash, len < sizeof(trash) ? len : sizeof(trash));
}

bool
stream_pending(const struct stream *s)
{
	return s->ssl != NULL && SSL_has_pending(s->ssl);
}

bool
stream_end(struct stream *s)
{
	ERR_clear_error();
	if (s->ssl != NULL && SSL_shutdown(s->ssl) < 0)
		return wrong("no close_notify");
	return shutdown(s->fd, SHUT_WR) == 0;
}

enum stream_result
stream_ended(struct stream *s)
{
	ssize_t n;
	do
		n = recv(s->fd, NULL, TRASH_BYTES, MSG_TRUNC | MSG_DONTWAIT);
	while (n > 0);
	if (n == 0)
		return STREAM_DONE;
	return errno == EAGAIN ? STREAM_WAIT : STREAM_BAD;
}

void
stream_close(struct stream *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	close(s->fd);
	s->fd = -1;
}
