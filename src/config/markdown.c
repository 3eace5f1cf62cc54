/* docs/config.md, from the table. */
#include "evenkeel/config/markdown.h"

static const char intro[] =
    "# The configuration file\n"
    "\n"
    "<!-- Generated from the option table, src/config/option.c. -->\n"
    "\n"
    "evenkeel reads one INI file: `./lb.ini`, else `/etc/evenkeel/lb.ini`, "
    "or the one that\n"
    "`-c FILE` names. The smallest useful one:\n"
    "\n"
    "```ini\n"
    "[listener web]\n"
    "bind = *:8080\n"
    "\n"
    "[pool web]\n"
    "backend = 127.0.0.1:3001\n"
    "backend = 127.0.0.1:3002\n"
    "```\n"
    "\n"
    "`evenkeel check` reads a file and says everything that is wrong with "
    "it, and\n"
    "`evenkeel config --defaults` prints it with every default filled in. "
    "`lb.ini` in the\n"
    "source tree is a commented example with all options.\n"
    "\n"
    "## Syntax\n"
    "\n"
    "- A line is a section header `[pool web]`, a key with its value "
    "`keepalive = 64`, a\n"
    "  comment, or empty. It has at most 4,096 bytes; it may be indented, "
    "and is never\n"
    "  continued on the next one. LF and CRLF both end it, and a UTF-8 byte "
    "order mark at the\n"
    "  start of the file is skipped.\n"
    "- `;` and `#` begin a comment at the start of a line and after white "
    "space. Elsewhere they\n"
    "  are part of the value. There are no quotes and no escapes.\n"
    "- Listeners, routes and pools bear a name of letters, digits, `_`, `.` "
    "and `-`. A header\n"
    "  between its brackets, and a key, have at most 48 bytes. Case matters "
    "in all of them.\n"
    "- A **duration** is a whole number and a unit: `250ms`, `2s`, `1m`, "
    "`1h`. The unit is\n"
    "  required, except for 0.\n"
    "- A **size** is a number of bytes, or of `k` (1,024 bytes), `M`, `G` or "
    "`T`: `16k`, `8M`.\n"
    "- A **percentage** is a whole number and `%`: `20%`. The sign is "
    "required.\n"
    "- A **list** is separated by commas: `200-299, 404`. It replaces the "
    "default as a whole.\n"
    "- A key marked \\* may stand several times, and each time may have "
    "several values, separated\n"
    "  by commas. Any other key stands once in its section, and a section "
    "once in the file.\n"
    "- The path of a file may be relative: to the directory that evenkeel was "
    "started in. Files\n"
    "  of certificates and keys are read when the configuration is, by "
    "`check` and at each\n"
    "  reload, too.\n"
    "- An address to listen on stands once in the whole file, except for "
    "those with port 0. A\n"
    "  pool has each backend address and each backend name once.\n"
    "\n"
    "A file needs at least one listener and one pool. A name that is not "
    "listed below is\n"
    "an error. All errors are reported at once, each with its line, what "
    "was found and what is\n"
    "allowed:\n"
    "\n"
    "    lb.ini:12: [pool web] keepalve: unknown key (did you mean "
    "keepalive?)\n"
    "    lb.ini:14: [pool web] connect_timeout: \"2\": a unit is required: "
    "ms, s, m or h; allowed: 1ms..24h\n"
    "\n"
    "A file with an error is not used at all. Warnings do not keep it from "
    "being used. They are\n"
    "about what works and is probably not meant: a pool with a single "
    "backend, one that nothing\n"
    "uses, or one without checks; a route behind one that takes every "
    "request; limits that can\n"
    "never be reached because another one ends the request before; retries "
    "that can carry out\n"
    "an order twice; TLS to backends that nobody verifies.\n"
    "\n"
    "`evenkeel check` also says what the limits of each pool come to: the "
    "longest time a client\n"
    "can wait, the most attempts, the load on backends while all of them "
    "fail, and how soon a\n"
    "backend that died is out and one that works again is back.\n"
    "\n"
    "Behind a default, *restart* means that a reload does not change the "
    "value of a running\n"
    "process.\n";

static const char *const about[OPTION_SECTIONS] = {
    "## [global]\n\nThe process as a whole. The section may be left out.\n",
    "## [admin]\n\nPages for the operator. Without this section there are "
    "none; an empty section is\nenough to have them.\n",
    "## [listener NAME]\n\nWhere clients connect, and what is asked of their "
    "requests. With a certificate\nclients speak TLS, and the n-th "
    "`tls_key` and `tls_ocsp_staple` belong to the n-th\n`tls_certificate`; "
    "without, the other `tls_` keys and `alpn` are errors.\n",
    "## [route NAME]\n\nWhich pool answers a request. Routes are tried in "
    "the order of the file, and the first\nthat fits takes the request: its "
    "listener, one of its hosts and one of its paths. What no\nroute takes "
    "goes to the `pool` of the listener.\n",
    "## [pool NAME]\n\nBackends that can stand in for each other, and how "
    "they are talked to. The `tls_` keys\nare about backends with "
    "`https://`, also when they are checked.\n",
};

/* Text in which a star is a star. */
static void
put_plain_text(struct textbuf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '*')
			textbuf_byte(out, '\\');
		textbuf_byte(out, text.ptr[i]);
	}
}

static void
put_default(struct textbuf *out, const struct option *o)
{
	if (o->preset != NULL) {
		textbuf_byte(out, '`');
		textbuf_str(out, o->preset);
		textbuf_byte(out, '`');
	} else {
		put_plain_text(
		    out, span_of(o->required ? "required" : o->without));
	}
	if (!o->reloadable)
		textbuf_lit(out, " (restart)");
}

static void
put_row(struct textbuf *out, const struct option *o)
{
	char room[256];
	struct textbuf allowed = textbuf_make(room, sizeof(room));

	option_put_allowed(&allowed, o);
	textbuf_lit(out, "| `");
	textbuf_str(out, o->name);
	textbuf_str(out, o->repeats ? "` \\* | " : "` | ");
	put_default(out, o);
	textbuf_lit(out, " | ");
	put_plain_text(out, textbuf_span(&allowed));
	textbuf_lit(out, " | ");
	textbuf_str(out, o->help);
	textbuf_lit(out, " |\n");
}

struct span
markdown_intro(void)
{
	return span_of(intro);
}

struct span
markdown_about(enum option_section s)
{
	return span_of(about[s]);
}

void
markdown_put_options(struct textbuf *out)
{
	textbuf_str(out, intro);
	for (enum option_section s = 0; s < OPTION_SECTIONS; s++) {
		textbuf_byte(out, '\n');
		textbuf_str(out, about[s]);
		textbuf_lit(out,
		    "\n| key | default | allowed | meaning |\n"
		    "|---|---|---|---|\n");
		for (size_t i = 0; i < option_count; i++)
			if (option_table[i].section == s)
				put_row(out, &option_table[i]);
	}
}
