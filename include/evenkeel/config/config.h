/*
 * config - what a configuration file says, as values.
 *
 * Built once by config/build from the lines of a file, then never changed.
 * Everything (strings included) lies in one arena that the creator owns.
 * Strings are NUL-terminated; none of the pointers is NULL unless it says so.
 *
 * Layer: config.  Pure.
 *
 * Sources: docs/config.md is generated from the same table (config/option).
 */
#ifndef EVENKEEL_CONFIG_CONFIG_H
#define EVENKEEL_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CFG_WORKERS_MAX 256
#define CFG_WEIGHT_MAX  256
#define CFG_MAX_MAX     1000000 /* of a backend's max= */
/* 0 in `workers`, `max_connections`: work it out at start. */
#define CFG_AUTO 0

enum cfg_addr_kind {
	CFG_ADDR_INET4, /* host is dotted decimal */
	CFG_ADDR_INET6, /* host is without brackets */
	CFG_ADDR_NAME,  /* backends only: to be resolved */
	CFG_ADDR_SRV,   /* backends only: host is the name of an SRV record
			   (_http._tcp.name), port 0 */
	CFG_ADDR_UNIX   /* host is the path, port 0 */
};

struct cfg_addr {
	enum cfg_addr_kind kind;
	const char *host; /* "*:port" is kind INET4 and host "0.0.0.0" */
	uint16_t port;    /* 1..65535; listeners also 0: any free port */
	const char *text; /* as it is shown: host:port, [v6]:port, unix:/path,
			     srv:_http._tcp.name */
	unsigned line;    /* in the file; 0: not from a file */
};

enum cfg_log_level { CFG_LOG_ERROR, CFG_LOG_WARN, CFG_LOG_INFO, CFG_LOG_DEBUG };
enum cfg_log_format { CFG_LOG_TEXT, CFG_LOG_JSON };
enum cfg_access_format { CFG_ACCESS_COMBINED, CFG_ACCESS_JSON };
/* The bits of enum forwarded_mode. */
enum cfg_forwarded {
	CFG_FORWARDED_OFF,
	CFG_FORWARDED_X,
	CFG_FORWARDED_RFC7239,
	CFG_FORWARDED_BOTH
};
enum cfg_switch { CFG_OFF, CFG_ON };
enum cfg_proxy_protocol {
	CFG_PROXY_PROTOCOL_OFF,
	CFG_PROXY_PROTOCOL_V1,
	CFG_PROXY_PROTOCOL_V2
};
enum cfg_request_id {
	CFG_REQUEST_ID_OFF,
	CFG_REQUEST_ID_BACKEND,
	CFG_REQUEST_ID_BOTH
};
enum cfg_balance {
	CFG_BALANCE_ROUND_ROBIN,
	CFG_BALANCE_LEAST_CONNECTIONS,
	CFG_BALANCE_RANDOM_TWO,
	CFG_BALANCE_HASH
};

/* The values of enum backoff_jitter. */
enum cfg_jitter { CFG_JITTER_FULL, CFG_JITTER_EQUAL, CFG_JITTER_NONE };
enum cfg_health { CFG_HEALTH_OFF, CFG_HEALTH_TCP, CFG_HEALTH_HTTP };
enum cfg_health_method { CFG_HEALTH_GET, CFG_HEALTH_HEAD, CFG_HEALTH_OPTIONS };
enum cfg_health_initial { CFG_HEALTH_UP, CFG_HEALTH_DOWN };

/* A file whose content counts. */
struct cfg_file {
	const char *path; /* empty: none; of a staple: "none" was written */
	unsigned line;    /* where it is named; 0: nowhere */
};

enum cfg_tls_version { CFG_TLS_1_2, CFG_TLS_1_3 };
enum cfg_alpn { CFG_ALPN_HTTP_1_1 };

/* Status codes, both ends included; 100..599. */
struct cfg_statuses {
	uint16_t from, to;
};

struct cfg_global {
	uint32_t workers; /* CFG_AUTO or 1..CFG_WORKERS_MAX */
	const char *log;  /* "stderr", "syslog" or a path */
	enum cfg_log_level log_level;
	enum cfg_log_format log_format;
	const char *access_log; /* "off", "stdout" or a path */
	enum cfg_access_format access_log_format;
	const char *control;      /* path; empty: the default for this user */
	const char *user, *group; /* name or number; empty: stay */
	const char *pid_file;     /* path; empty: none */
	uint32_t max_connections; /* CFG_AUTO or 1.. */
	uint32_t shutdown_timeout_ms;
};

struct cfg_admin {
	bool present;
	struct cfg_addr listen;
};

struct cfg_pool;

struct cfg_listener {
	const char *name;
	unsigned line;
	struct cfg_addr *binds;
	size_t n_binds;              /* >= 1 */
	const struct cfg_pool *pool; /* NULL: none; no route, no answer but 404,
					unless requests are redirected */
	uint32_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
	uint32_t send_timeout_ms;
	uint32_t max_header_size, max_headers;
	uint64_t max_body_size; /* 0: no limit */
	enum cfg_forwarded forwarded;
	enum cfg_request_id request_id;
	enum cfg_switch proxy_protocol;
	const char **trusted; /* blocks of addresses, see http/cidr */
	size_t n_trusted;
	/* TLS, when there is a certificate; the n-th key and staple belong to
	 * the n-th certificate. */
	struct cfg_file *tls_certificates;
	size_t n_tls_certificates;
	struct cfg_file *tls_keys;
	size_t n_tls_keys; /* as many */
	struct cfg_file *tls_staples;
	size_t n_tls_staples; /* at most as many */
	enum cfg_tls_version tls_min_version;
	const char *tls_ciphers, *tls_ciphersuites; /* empty: the default */
	unsigned tls_ciphers_line, tls_ciphersuites_line; /* 0: nowhere */
	struct cfg_file tls_client_ca, tls_ticket_keys;
	enum cfg_alpn alpn;
	uint16_t redirect_port; /* where https is; 0: nothing is redirected */
};

struct cfg_route {
	const char *name;
	unsigned line;
	const struct cfg_listener **listeners; /* n_listeners 0: all */
	size_t n_listeners;
	const char **hosts; /* lower case; "*.example.com" keeps its star */
	size_t n_hosts;     /* 0: any */
	const char **paths;
	size_t n_paths; /* 0: any */
	const struct cfg_pool *pool;
};

struct cfg_backend {
	const char *name;     /* of name=, else the address as written, with its
				 https:// */
	struct cfg_addr addr; /* its text is without https:// */
	uint32_t weight;      /* 1..CFG_WEIGHT_MAX; of CFG_ADDR_SRV the record's
				 holds */
	uint32_t max;         /* requests in flight; 0: no limit */
	bool backup;          /* used only when no other is usable */
	bool https;           /* addr is host:port or [v6]:port */
};

struct cfg_pool {
	const char *name;
	unsigned line;
	size_t index; /* in cfg.pools */
	struct cfg_backend *backends;
	size_t n_backends; /* >= 1 */
	enum cfg_balance balance;
	const char *hash_on;     /* client_ip, path, header:NAME, cookie:NAME */
	const char *host_header; /* keep, backend, or what is sent */
	uint32_t queue_timeout_ms, queue_size;
	/* of https backends */
	enum cfg_switch tls_verify;
	struct cfg_file tls_ca;      /* none: the system's */
	const char *tls_server_name; /* empty: the backend's host */
	struct cfg_file tls_certificate, tls_key;
	uint32_t resolve_ms; /* between look-ups of names; 0: when loaded */
	enum cfg_proxy_protocol proxy_protocol; /* what backends are sent */
	uint32_t connect_timeout_ms, response_timeout_ms, stream_timeout_ms;
	uint32_t request_timeout_ms;
	uint32_t max_header_size, max_headers;
	uint32_t keepalive;
	uint32_t keepalive_timeout_ms;
	uint32_t slow_start_ms; /* 0: none */
	/* retry; see config/policies for the form that decides */
	uint32_t retry_attempts; /* after the first; 0..10 */
	const char **retry_on;   /* connect, reset, timeout, 400..599 */
	size_t n_retry_on;
	uint32_t retry_base_ms, retry_cap_ms;
	enum cfg_jitter retry_jitter;
	enum cfg_switch retry_first_wait;
	uint32_t retry_budget_pct; /* 100: no limit */
	uint32_t retry_budget_min; /* retries per second besides */
	enum cfg_switch retry_non_idempotent;
	uint32_t retry_body_limit;   /* bytes kept for replay */
	uint32_t attempt_timeout_ms; /* 0: none of its own */
	/* active checks */
	enum cfg_health health;
	const char *health_path;
	enum cfg_health_method health_method;
	const char *health_host; /* empty: the backend's */
	struct cfg_statuses *health_statuses;
	size_t n_health_statuses;
	const char *health_body; /* empty: any */
	uint16_t health_port;    /* 0: the backend's */
	uint32_t health_interval_ms;
	uint32_t health_interval_down_ms; /* 0: as health_interval_ms */
	uint32_t health_timeout_ms;
	uint32_t health_rise, health_fall;
	enum cfg_health_initial health_initial;
	/* passive checks */
	uint32_t eject_failures; /* in a row; 0: off */
	uint32_t eject_base_ms, eject_cap_ms;
	uint32_t eject_max_pct;
};

struct cfg {
	struct cfg_global global;
	struct cfg_admin admin;
	struct cfg_listener *listeners;
	size_t n_listeners; /* >= 1 */
	struct cfg_route *routes;
	size_t n_routes;
	struct cfg_pool *pools;
	size_t n_pools; /* >= 1 */
	/* Where the keys of [global] stand, by their places in option_table;
	 * NULL: there is no such section. */
	const unsigned *global_lines;
};

#endif
