/* The one table, and how to find things in it. */
#include "evenkeel/config/option.h"

#include "evenkeel/config/nearest.h"
#include "evenkeel/config/value.h"
#include "evenkeel/policy/budget.h"
#include "evenkeel/policy/health.h"
#include "evenkeel/policy/retry.h"

#define MS_SECOND 1000u
#define MS_HOUR   3600000u
#define KIB       1024u

/* No wait is longer than a day: beyond it, it was a typo. */
#define WAIT_MIN_MS 1
#define WAIT_MAX_MS (24 * MS_HOUR)
/* Buffers are sized by these. */
#define HEAD_MIN_BYTES (1 * KIB)
#define HEAD_MAX_BYTES (256 * KIB)
#define HEADERS_MAX    1000
#define BODY_MAX_BYTES ((uint64_t)1 << 50)
#define CONNS_MAX      10000000
#define IDLE_CONNS_MAX 65535
#define PATH_MAX_BYTES 1024
#define UNIX_MAX_BYTES 107
#define USER_MAX_BYTES 32
#define NAME_MAX_BYTES 255
/* Kept in memory for each request that is under way. */
#define REPLAY_MAX_BYTES (64 * KIB * KIB)
/* "health_body = " and this fit into one line. */
#define SOUGHT_MAX_BYTES   4000
#define EJECT_FAILURES_MAX 10000

#define GLOBAL(field) \
	.section = OPTION_GLOBAL, .offset = offsetof(struct cfg_global, field)
#define LISTENER(field)             \
	.section = OPTION_LISTENER, \
	.offset = offsetof(struct cfg_listener, field)
#define ROUTE(field) \
	.section = OPTION_ROUTE, .offset = offsetof(struct cfg_route, field)
#define POOL(field) \
	.section = OPTION_POOL, .offset = offsetof(struct cfg_pool, field)
#define PERCENT .type = OPTION_PERCENT, .min = 0, .max = 100, .reloadable = true
#define SWITCH  .type = OPTION_ENUM, .words = "no|yes", .reloadable = true
/* The ciphers of a listener: ten times what anybody needs. */
#define CIPHERS_MAX_BYTES 2000
#define A_FILE            .type = OPTION_FILE, .max = PATH_MAX_BYTES
#define FILES             .type = OPTION_FILES, .max = PATH_MAX_BYTES, .repeats = true
#define OF_TLS            .of_tls = true, .reloadable = true
#define WAIT                                                             \
	.type = OPTION_DURATION, .min = WAIT_MIN_MS, .max = WAIT_MAX_MS, \
	.reloadable = true

const struct option option_table[] = {
    {GLOBAL(workers), .name = "workers", .type = OPTION_COUNT, .min = 1,
	.max = CFG_WORKERS_MAX, .auto_word = "auto", .preset = "auto",
	.help = "Worker threads; auto is one for each CPU that the process "
		"may use, capped by the CPU quota of its cgroup."},
    {GLOBAL(user), .name = "user", .type = OPTION_TEXT, .max = USER_MAX_BYTES,
	.without = "stay who started it",
	.allowed = "the name or number of a user",
	.help = "Who to become before anything is opened or bound, when "
		"started by root. Binding ports below 1024 stays possible "
		"(CAP_NET_BIND_SERVICE); everything else is given up."},
    {GLOBAL(group), .name = "group", .type = OPTION_TEXT, .max = USER_MAX_BYTES,
	.without = "the groups of the user",
	.allowed = "the name or number of a group",
	.help = "The group to become with `user`, or alone."},
    {GLOBAL(log), .name = "log", .type = OPTION_TEXT, .max = PATH_MAX_BYTES,
	.words = "stderr|syslog", .preset = "stderr", .reloadable = true,
	.allowed = "stderr, syslog or the path of a file",
	.help = "Where messages of evenkeel itself go."},
    {GLOBAL(log_level), .name = "log_level", .type = OPTION_ENUM,
	.words = "error|warn|info|debug", .preset = "info", .reloadable = true,
	.help = "The least important messages that are written."},
    {GLOBAL(log_format), .name = "log_format", .type = OPTION_ENUM,
	.words = "text|json", .preset = "text", .reloadable = true,
	.help = "How a message is written: one line of text, or one JSON "
		"object a line."},
    {GLOBAL(access_log), .name = "access_log", .type = OPTION_TEXT,
	.max = PATH_MAX_BYTES, .words = "off|stdout", .preset = "off",
	.allowed = "off, stdout or the path of a file", .reloadable = true,
	.help = "Where one record for each request goes."},
    {GLOBAL(access_log_format), .name = "access_log_format",
	.type = OPTION_ENUM, .words = "combined|json", .preset = "combined",
	.reloadable = true,
	.help = "How a record is written: Combined Log Format, or one JSON "
		"object a line that tells every attempt."},
    {GLOBAL(control), .name = "control", .type = OPTION_TEXT,
	.max = UNIX_MAX_BYTES,
	.without = "/run/evenkeel.sock, or "
		   "$XDG_RUNTIME_DIR/evenkeel.sock when not root",
	.allowed = "the path of a unix socket, at most 107 bytes",
	.help = "The socket by which verbs such as `status` reach the running "
		"process; it is made with mode 0600."},
    {GLOBAL(pid_file), .name = "pid_file", .type = OPTION_TEXT,
	.max = PATH_MAX_BYTES, .without = "none",
	.allowed = "the path of a file",
	.help = "A file that holds the number of the process while it runs."},
    {GLOBAL(max_connections), .name = "max_connections", .type = OPTION_COUNT,
	.min = 1, .max = CONNS_MAX, .auto_word = "auto", .preset = "auto",
	.reloadable = true,
	.help = "Client connections at a time; auto follows from the limit "
		"of open files."},
    {GLOBAL(shutdown_timeout_ms), .name = "shutdown_timeout",
	.type = OPTION_DURATION, .min = 0, .max = MS_HOUR, .preset = "30s",
	.reloadable = true,
	.help = "How long requests in flight may take to finish after a "
		"signal to stop; 0 stops at once."},

    {.section = OPTION_ADMIN,
	.offset = offsetof(struct cfg_admin, listen),
	.name = "listen",
	.type = OPTION_ADDRESS,
	.preset = "127.0.0.1:9180",
	.reloadable = true,
	.allowed = "host:port (a numeric host or localhost), [v6]:port, "
		   "*:port, unix:/path",
	.help = "Where the pages for the operator are served: status, metrics "
		"and readiness. They only read."},

    {LISTENER(binds), .offset_count = offsetof(struct cfg_listener, n_binds),
	.name = "bind", .type = OPTION_BINDS, .repeats = true, .required = true,
	.reloadable = true,
	.allowed = "host:port (a numeric host or localhost), [v6]:port, "
		   "*:port, unix:/path",
	.help = "An address to accept clients on. `*:port` is all of IPv4, "
		"`[::]:port` is all of IPv6 and only that; port 0 is any free "
		"port."},
    {LISTENER(pool), .name = "pool", .type = OPTION_POOL_NAME,
	.reloadable = true, .without = "the only pool",
	.allowed = "the name of a pool",
	.help = "Where a request goes that no route takes. With several pools "
		"and no such key the answer to it is 404; then at least one "
		"route must apply to the listener."},
    {LISTENER(header_timeout_ms), .name = "header_timeout", WAIT,
	.preset = "10s",
	.help = "The whole request head must be there in this time, else the "
		"answer is 408."},
    {LISTENER(body_timeout_ms), .name = "body_timeout", WAIT, .preset = "30s",
	.help = "The longest gap between bytes of a request body, else the "
		"answer is 408."},
    {LISTENER(idle_timeout_ms), .name = "idle_timeout", WAIT, .preset = "60s",
	.help = "How long a connection is kept for the client's next "
		"request."},
    {LISTENER(send_timeout_ms), .name = "send_timeout", WAIT, .preset = "30s",
	.help = "How long a client may read nothing of its answer before the "
		"connection is closed."},
    {LISTENER(max_header_size), .name = "max_header_size", .type = OPTION_SIZE,
	.min = HEAD_MIN_BYTES, .max = HEAD_MAX_BYTES, .preset = "16k",
	.reloadable = true,
	.help = "A longer request head is answered with 431, a request line "
		"over 8k with 414."},
    {LISTENER(max_headers), .name = "max_headers", .type = OPTION_COUNT,
	.min = 1, .max = HEADERS_MAX, .preset = "100", .reloadable = true,
	.help = "A request with more fields is answered with 431."},
    {LISTENER(max_body_size), .name = "max_body_size", .type = OPTION_SIZE64,
	.min = 0, .max = BODY_MAX_BYTES, .preset = "0", .reloadable = true,
	.help = "A longer request body is answered with 413; 0 is no limit."},
    {LISTENER(forwarded), .name = "forwarded", .type = OPTION_ENUM,
	.words = "off|x|rfc7239|both", .preset = "x", .reloadable = true,
	.help = "How backends learn about the client: x sets "
		"X-Forwarded-For, -Proto and -Host, rfc7239 sets Forwarded, "
		"both sets both, off none of them. What the client itself "
		"sent under these names is removed, unless it is one of "
		"`trusted_proxies`."},
    {LISTENER(trusted),
	.offset_count = offsetof(struct cfg_listener, n_trusted),
	.name = "trusted_proxies", .type = OPTION_CIDRS, .repeats = true,
	.reloadable = true, .without = "nobody",
	.allowed = "addresses and blocks such as 10.0.0.0/8",
	.help = "Proxies in front whose X-Forwarded-*, Forwarded and "
		"X-Request-Id are kept and extended; the client in records "
		"and for `hash_on` is then the one behind them."},
    {LISTENER(proxy_protocol), .name = "proxy_protocol", .type = OPTION_ENUM,
	.words = "off|on", .preset = "off", .reloadable = true,
	.help = "Every connection must begin with a PROXY protocol header, "
		"version 1 or 2, that says who the client is; on a listener "
		"with TLS it comes before the handshake."},
    {LISTENER(request_id), .name = "request_id", .type = OPTION_ENUM,
	.words = "off|backend|both", .preset = "backend", .reloadable = true,
	.help = "Who is sent the X-Request-Id of a request: nobody, the "
		"backend, or the backend and the client. Errors made by "
		"evenkeel always carry it."},
    {LISTENER(redirect_port), .name = "redirect", .type = OPTION_REDIRECT,
	.reloadable = true, .without = "requests are answered",
	.allowed = "https or https:PORT",
	.help = "Sends every client to the same address with https, on port "
		"443 or PORT: 301 for GET and HEAD, 308 else. Such a listener "
		"has no certificate and needs no pool."},
    {LISTENER(tls_certificates), FILES,
	.offset_count = offsetof(struct cfg_listener, n_tls_certificates),
	.name = "tls_certificate", .reloadable = true, .without = "plain HTTP",
	.allowed = "the path of a PEM file",
	.help = "Makes the listener speak TLS. The file has a certificate and "
		"behind it those that lead to its root. Of several the client "
		"gets the one for the name it asks for (SNI), an exact name "
		"before a `*.` one, RSA or ECDSA as it can; the first one if "
		"it asks for none or an unknown one."},
    {LISTENER(tls_keys), FILES, OF_TLS,
	.offset_count = offsetof(struct cfg_listener, n_tls_keys),
	.name = "tls_key", .without = "required with tls_certificate",
	.allowed = "the path of a PEM file without a passphrase",
	.help = "The private key of a certificate: the first one of the first "
		"`tls_certificate`, and so on. `user` must be able to read "
		"it."},
    {LISTENER(tls_staples), FILES, OF_TLS,
	.offset_count = offsetof(struct cfg_listener, n_tls_staples),
	.name = "tls_ocsp_staple", .words = "none", .without = "none is sent",
	.allowed = "the path of a DER file, or none",
	.help = "An OCSP response that clients get with a certificate: the "
		"first one with the first `tls_certificate`, and so on; `none` "
		"holds the place of one without."},
    {LISTENER(tls_ticket_keys), OF_TLS, .name = "tls_ticket_keys", A_FILE,
	.without = "drawn every hour", .allowed = "the path of a file",
	.help = "Keys of session tickets, for several balancers with the same "
		"clients: 48 or 80 random bytes, or lines of their base64, of "
		"which the first one seals and all open. Read again at each "
		"reload."},
    {LISTENER(tls_min_version), OF_TLS, .name = "tls_min_version",
	.type = OPTION_ENUM, .words = "1.2|1.3", .preset = "1.2",
	.help = "The oldest version of TLS that clients may use."},
    {LISTENER(tls_ciphers), OF_TLS, .name = "tls_ciphers", .type = OPTION_TEXT,
	.max = CIPHERS_MAX_BYTES,
	.without = "those with forward secrecy and AEAD",
	.allowed = "names of ciphers with : between them",
	.help = "The ciphers of TLS 1.2, in the order of preference and in the "
		"words of OpenSSL. Without it: ECDHE-ECDSA-AES128-GCM-SHA256, "
		"ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, "
		"ECDHE-RSA-AES256-GCM-SHA384, ECDHE-ECDSA-CHACHA20-POLY1305, "
		"ECDHE-RSA-CHACHA20-POLY1305."},
    {LISTENER(tls_ciphersuites), OF_TLS, .name = "tls_ciphersuites",
	.type = OPTION_TEXT, .max = CIPHERS_MAX_BYTES,
	.without = "all that are good",
	.allowed = "names of cipher suites with : between them",
	.help = "The same for TLS 1.3. Without it: TLS_AES_128_GCM_SHA256, "
		"TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256."},
    {LISTENER(tls_client_ca), OF_TLS, .name = "tls_client_ca", A_FILE,
	.without = "clients show none", .allowed = "the path of a PEM file",
	.help = "Every client must show a certificate that leads to one of "
		"these. Backends are told its subject as "
		"X-Client-Cert-Subject, and nobody else can send that "
		"field."},
    {LISTENER(alpn), OF_TLS, .name = "alpn", .type = OPTION_ENUM,
	.words = "http/1.1", .preset = "http/1.1",
	.help = "The protocol that is agreed on with clients that offer some "
		"(ALPN); one that offers only others is turned away."},

    {ROUTE(listeners), .offset_count = offsetof(struct cfg_route, n_listeners),
	.name = "listener", .type = OPTION_LISTENER_NAMES, .repeats = true,
	.reloadable = true, .without = "all listeners",
	.allowed = "the name of a listener",
	.help = "The listener whose requests the route looks at."},
    {ROUTE(hosts), .offset_count = offsetof(struct cfg_route, n_hosts),
	.name = "host", .type = OPTION_HOSTS, .repeats = true,
	.reloadable = true, .without = "any host",
	.allowed = "a host name without a port, or *.example.com",
	.help = "The host that the client asked for; `*.example.com` is every "
		"name that ends in `.example.com`. Case does not matter."},
    {ROUTE(paths), .offset_count = offsetof(struct cfg_route, n_paths),
	.name = "path", .type = OPTION_PATHS, .repeats = true,
	.max = PATH_MAX_BYTES, .reloadable = true, .without = "any path",
	.allowed = "a path that begins with /, without ? and #",
	.help = "What the path begins with, up to the end or to a `/`: `/api` "
		"takes `/api` and `/api/x`, not `/apix`."},
    {ROUTE(pool), .name = "pool", .type = OPTION_POOL_NAME, .required = true,
	.reloadable = true, .allowed = "the name of a pool",
	.help = "Where the requests go that the route takes."},

    {POOL(backends), .offset_count = offsetof(struct cfg_pool, n_backends),
	.name = "backend", .type = OPTION_BACKENDS, .repeats = true,
	.required = true, .reloadable = true,
	.allowed = "host:port, [v6]:port, https://host:port, unix:/path or "
		   "srv:_http._tcp.name, then weight=1..256, max=N, backup "
		   "and name=X",
	.help = "A server that can answer any request of the pool, over TLS "
		"when `https://` is before it. One of "
		"weight 3 gets three times the requests of one of weight 1 "
		"(the default); `max=` limits its requests in flight; a "
		"`backup` is used only when no other is usable; its name in "
		"logs and metrics is its address "
		"unless `name=` gives another. All addresses of a host name "
		"become backends, each called NAME@ADDRESS; so do those of "
		"an SRV record, with its ports and weights."},
    {POOL(resolve_ms), .name = "resolve", .type = OPTION_DURATION, .min = 0,
	.max = WAIT_MAX_MS, .preset = "30s", .reloadable = true,
	.help = "How often the names of backends are looked up again; 0 only "
		"when the configuration is loaded. A look-up that fails takes "
		"no address away."},
    {POOL(balance), .name = "balance", .type = OPTION_ENUM,
	.words = "round_robin|least_connections|random_two|hash",
	.preset = "round_robin", .reloadable = true,
	.help = "Who is next: round_robin takes the backends in turn, by "
		"their weights; least_connections the one with the fewest "
		"requests in flight for its weight; random_two the better of "
		"two drawn at random; hash the one that `hash_on` leads to, "
		"the same for the same key while the backends stay the "
		"same."},
    {POOL(hash_on), .name = "hash_on", .type = OPTION_HASH_ON,
	.preset = "client_ip", .reloadable = true,
	.allowed = "client_ip, path, header:NAME or cookie:NAME",
	.help = "What `balance = hash` looks at. When one of B backends "
		"leaves, about one in B keys moves to others."},
    {POOL(queue_timeout_ms), .name = "queue_timeout", WAIT, .preset = "1s",
	.help = "How long a request waits for a backend when none is usable; "
		"then the answer is 503."},
    {POOL(queue_size), .name = "queue_size", .type = OPTION_COUNT, .min = 0,
	.max = CONNS_MAX, .preset = "1000", .reloadable = true,
	.help = "Requests of the pool that may wait, over all workers; one "
		"more gets 503. The oldest goes first."},
    {POOL(host_header), .name = "host_header", .type = OPTION_HOST,
	.words = "keep|backend", .preset = "keep", .reloadable = true,
	.allowed = "keep, backend or a host name with or without a port",
	.help = "The Host that backends see: keep is what the client sent, "
		"backend is the address of the backend or its host name, with "
		"the port, anything else is sent as it is."},
    {POOL(tls_verify), .name = "tls_verify", SWITCH, .of_tls = true,
	.preset = "yes",
	.help = "Whether the certificate of an https backend, and the name in "
		"it, must be good. With no anybody between can read and "
		"change what is sent."},
    {POOL(tls_ca), OF_TLS, .name = "tls_ca", A_FILE,
	.without = "what the system trusts",
	.allowed = "the path of a PEM file",
	.help = "The certificates that those of https backends must lead "
		"to."},
    {POOL(tls_server_name), OF_TLS, .name = "tls_server_name",
	.type = OPTION_SERVER_NAME, .without = "the host of the backend",
	.allowed = "a host name or an IP address, without a port",
	.help = "The name that https backends are asked for (SNI) and that "
		"must be in their certificates; an IP address is not asked "
		"for, but must be there."},
    {POOL(tls_certificate), OF_TLS, .name = "tls_certificate", A_FILE,
	.without = "none", .allowed = "the path of a PEM file",
	.help = "The certificate that https backends are shown, with what "
		"leads to its root."},
    {POOL(tls_key), OF_TLS, .name = "tls_key", A_FILE, .without = "none",
	.allowed = "the path of a PEM file without a passphrase",
	.help = "The private key of that certificate."},
    {POOL(proxy_protocol), .name = "proxy_protocol", .type = OPTION_ENUM,
	.words = "off|v1|v2", .preset = "off", .reloadable = true,
	.help = "The PROXY protocol header that connections to backends begin "
		"with; each is then used for one request only."},
    {POOL(connect_timeout_ms), .name = "connect_timeout", WAIT, .preset = "2s",
	.help = "How long connecting to a backend may take, the TLS handshake "
		"with an https one included."},
    {POOL(response_timeout_ms), .name = "response_timeout", WAIT,
	.preset = "30s",
	.help = "From the request being sent to the whole head of its final "
		"response, in one attempt."},
    {POOL(stream_timeout_ms), .name = "stream_timeout", WAIT, .preset = "60s",
	.help = "The longest gap between bytes of a response body, and how "
		"long a tunnel (WebSocket) may be silent."},
    {POOL(request_timeout_ms), .name = "request_timeout", WAIT, .preset = "60s",
	.help = "Everything until the head of the response goes to the "
		"client, else the answer is 504. The clock stands still while "
		"the client is still sending."},
    {POOL(max_header_size), .name = "max_header_size", .type = OPTION_SIZE,
	.min = HEAD_MIN_BYTES, .max = HEAD_MAX_BYTES, .preset = "32k",
	.reloadable = true,
	.help = "A response with a longer head counts as bad: the answer is "
		"502."},
    {POOL(max_headers), .name = "max_headers", .type = OPTION_COUNT, .min = 1,
	.max = HEADERS_MAX, .preset = "200", .reloadable = true,
	.help = "A response with more fields counts as bad: the answer is "
		"502."},
    {POOL(keepalive), .name = "keepalive", .type = OPTION_COUNT, .min = 0,
	.max = IDLE_CONNS_MAX, .preset = "64", .reloadable = true,
	.help = "Idle connections that are kept for each backend, over all "
		"workers; 0 opens a new one for each request."},
    {POOL(keepalive_timeout_ms), .name = "keepalive_timeout", WAIT,
	.preset = "30s",
	.help = "How long an idle connection to a backend is kept. It should "
		"be shorter than the time the backend keeps it."},
    {POOL(slow_start_ms), .name = "slow_start", .type = OPTION_DURATION,
	.min = 0, .max = WAIT_MAX_MS, .preset = "0", .reloadable = true,
	.help = "The share of a backend that has come back grows to its full "
		"weight over this time; 0 gives it all at once."},

    {POOL(retry_attempts), .name = "retry_attempts", .type = OPTION_COUNT,
	.min = 0, .max = RETRY_ATTEMPTS_MAX, .preset = "2", .reloadable = true,
	.help = "How often a request is tried again when an attempt has "
		"failed; 0 turns retries off."},
    {POOL(retry_on), .offset_count = offsetof(struct cfg_pool, n_retry_on),
	.name = "retry_on", .type = OPTION_CAUSES,
	.words = "connect|reset|timeout",
	.preset = "connect,reset,timeout,502,503,504", .reloadable = true,
	.allowed = "connect, reset, timeout and status codes 400..599",
	.help = "Which failures are retried: connect (the backend was not "
		"reached), reset (it broke off, or its answer was malformed), "
		"timeout (it did not answer in time), and answers with these "
		"status codes."},
    {POOL(retry_base_ms), .name = "retry_base", WAIT, .preset = "25ms",
	.help = "The longest wait before the first retry; it doubles with "
		"each further one, up to `retry_cap`."},
    {POOL(retry_cap_ms), .name = "retry_cap", WAIT, .preset = "1s",
	.help = "The longest wait before any retry; at least `retry_base`."},
    {POOL(retry_jitter), .name = "retry_jitter", .type = OPTION_ENUM,
	.words = "full|equal|none", .preset = "full", .reloadable = true,
	.help = "How much of a wait is left to chance, so that many retries do "
		"not come at once: full waits between nothing and the whole, "
		"equal between half and the whole, none the whole."},
    {POOL(retry_first_wait), .name = "retry_first_wait", SWITCH,
	.preset = "yes",
	.help = "With no, the first retry goes to another usable backend at "
		"once."},
    {POOL(retry_budget_pct), .name = "retry_budget", PERCENT, .preset = "20%",
	.help = "Retries of the pool as a share of its requests of the last "
		"10 s; 100% is no limit, 0% none at all. Retries after a "
		"backend could not be reached do not count."},
    {POOL(retry_budget_min), .name = "retry_budget_min", .type = OPTION_COUNT,
	.min = 0, .max = BUDGET_FLOOR_MAX, .preset = "10", .reloadable = true,
	.help = "Retries a second that are allowed besides `retry_budget`, for "
		"pools with little traffic."},
    {POOL(retry_non_idempotent), .name = "retry_non_idempotent", SWITCH,
	.preset = "no",
	.help = "With yes, POST and PATCH are retried also when a backend may "
		"have carried them out already: they can then happen twice."},
    {POOL(retry_body_limit), .name = "retry_body_limit", .type = OPTION_SIZE,
	.min = 0, .max = REPLAY_MAX_BYTES, .preset = "64k", .reloadable = true,
	.help = "Request bodies up to this size are kept until the answer "
		"begins, so that they can be sent again."},
    {POOL(attempt_timeout_ms), .name = "attempt_timeout",
	.type = OPTION_DURATION, .min = 0, .max = WAIT_MAX_MS, .preset = "0",
	.reloadable = true,
	.help = "How long one attempt may take, so that time is left for "
		"another; 0 leaves it to `response_timeout`."},

    {POOL(health), .name = "health", .type = OPTION_ENUM,
	.words = "off|tcp|http", .preset = "tcp", .reloadable = true,
	.help = "How backends are checked: tcp connects, http sends a request "
		"and looks at the answer, off does not check."},
    {POOL(health_path), .name = "health_path", .type = OPTION_TARGET,
	.max = PATH_MAX_BYTES, .preset = "/", .reloadable = true,
	.allowed = "a path that begins with /, without white space and #",
	.help = "What the check asks for; of `health = http`, as are the next "
		"four."},
    {POOL(health_method), .name = "health_method", .type = OPTION_ENUM,
	.words = "GET|HEAD|OPTIONS", .preset = "GET", .reloadable = true,
	.help = "The method of the check."},
    {POOL(health_host), .name = "health_host", .type = OPTION_HOST,
	.max = NAME_MAX_BYTES, .without = "the backend's address or host name",
	.reloadable = true, .allowed = "a host name with or without a port",
	.help = "The Host of the check."},
    {POOL(health_statuses),
	.offset_count = offsetof(struct cfg_pool, n_health_statuses),
	.name = "health_status", .type = OPTION_STATUSES, .preset = "200-399",
	.reloadable = true,
	.allowed = "status codes 100..599 and ranges of them such as 200-399",
	.help = "The answers that are good."},
    {POOL(health_body), .name = "health_body", .type = OPTION_TEXT,
	.max = SOUGHT_MAX_BYTES, .without = "any body", .reloadable = true,
	.allowed = "a text of at most 4000 bytes",
	.help = "A text that must occur in the first 4k of the answer's "
		"body."},
    {POOL(health_port), .name = "health_port", .type = OPTION_PORT, .min = 1,
	.max = 65535, .without = "the backend's port", .reloadable = true,
	.help = "The port that is checked."},
    {POOL(health_interval_ms), .name = "health_interval", WAIT, .preset = "2s",
	.help = "The time between two checks of a backend, 10 % more or "
		"less."},
    {POOL(health_interval_down_ms), .name = "health_interval_down", WAIT,
	.without = "as health_interval",
	.help = "The same while the backend is down."},
    {POOL(health_timeout_ms), .name = "health_timeout", WAIT, .preset = "1s",
	.help = "A check that takes longer is bad. It does not count when the "
		"backend has answered requests since the check before: then "
		"it is slow, not down."},
    {POOL(health_rise), .name = "health_rise", .type = OPTION_COUNT, .min = 1,
	.max = HEALTH_ROW_MAX, .preset = "2", .reloadable = true,
	.help = "Good checks in a row until a backend that is down is up."},
    {POOL(health_fall), .name = "health_fall", .type = OPTION_COUNT, .min = 1,
	.max = HEALTH_ROW_MAX, .preset = "3", .reloadable = true,
	.help = "Bad checks in a row until a backend that is up is down."},
    {POOL(health_initial), .name = "health_initial", .type = OPTION_ENUM,
	.words = "up|down", .preset = "up", .reloadable = true,
	.help = "What a backend is before its first check."},

    {POOL(eject_failures), .name = "eject_failures", .type = OPTION_COUNT,
	.min = 0, .max = EJECT_FAILURES_MAX, .preset = "5", .reloadable = true,
	.help = "Failed attempts in a row, of real requests, that take a "
		"backend out for a while; 0 turns this off. A status counts "
		"when `retry_on` has it."},
    {POOL(eject_base_ms), .name = "eject_base", WAIT, .preset = "10s",
	.help = "How long it is out the first time; it doubles with each "
		"further time in a row, up to `eject_cap`."},
    {POOL(eject_cap_ms), .name = "eject_cap", WAIT, .preset = "120s",
	.help = "The longest time it is out; at least `eject_base`."},
    {POOL(eject_max_pct), .name = "eject_max", PERCENT, .preset = "50%",
	.help = "How much of the pool may be out at a time, rounded down, but "
		"at least one backend of two or more, and never the last "
		"usable one."},
};

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);

_Static_assert(
    sizeof(option_table) / sizeof(option_table[0]) <= OPTION_TABLE_MAX,
    "raise OPTION_TABLE_MAX");

const char *
option_section_word(enum option_section s)
{
	static const char *const words[OPTION_SECTIONS] = {
	    "global", "admin", "listener", "route", "pool"};

	return words[s];
}

bool
option_section_named(enum option_section s)
{
	return s != OPTION_GLOBAL && s != OPTION_ADMIN;
}

const struct option *
option_find(enum option_section s, struct span name)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].section == s &&
		    span_equal(name, span_of(option_table[i].name)))
			return &option_table[i];
	return NULL;
}

unsigned
option_global_line(const struct cfg *cfg, struct span name)
{
	const struct option *o = option_find(OPTION_GLOBAL, name);

	return o == NULL || cfg->global_lines == NULL
	    ? 0
	    : cfg->global_lines[o - option_table];
}

bool
option_has_tls(enum option_section s, const void *object)
{
	const struct cfg_listener *l = object;
	const struct cfg_pool *p = object;

	if (s == OPTION_LISTENER)
		return l->n_tls_certificates > 0;
	if (s != OPTION_POOL)
		return false;
	for (size_t i = 0; i < p->n_backends; i++)
		if (p->backends[i].https)
			return true;
	return false;
}

const char *
option_nearest(enum option_section s, struct span name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].section == s)
			nearest_offer(&near, span_of(option_table[i].name));
	return near.best.ptr;
}

void
option_put_names(struct textbuf *out, enum option_section s)
{
	bool first = true;

	for (size_t i = 0; i < option_count; i++) {
		if (option_table[i].section != s)
			continue;
		if (!first)
			textbuf_lit(out, ", ");
		textbuf_str(out, option_table[i].name);
		first = false;
	}
}

static void
put_words(struct textbuf *out, const char *words)
{
	struct span rest = span_of(words), word;

	for (bool first = true; value_next_word(&rest, &word); first = false) {
		if (!first)
			textbuf_lit(out, ", ");
		textbuf_put(out, word);
	}
}

static void
put_bound(struct textbuf *out, const struct option *o, uint64_t bound)
{
	if (o->type == OPTION_DURATION)
		value_put_duration(out, bound);
	else if (o->type == OPTION_SIZE || o->type == OPTION_SIZE64)
		value_put_size(out, bound);
	else
		textbuf_u64(out, bound);
	if (o->type == OPTION_PERCENT)
		textbuf_byte(out, '%');
}

void
option_put_allowed(struct textbuf *out, const struct option *o)
{
	if (o->allowed != NULL) {
		textbuf_str(out, o->allowed);
		return;
	}
	if (o->type == OPTION_ENUM) {
		put_words(out, o->words);
		return;
	}
	if (o->auto_word != NULL) {
		textbuf_str(out, o->auto_word);
		textbuf_lit(out, ", ");
	}
	put_bound(out, o, o->min);
	textbuf_lit(out, "..");
	put_bound(out, o, o->max);
}
