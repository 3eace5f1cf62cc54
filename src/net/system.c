#include "evenkeel/net/system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/clock.h"

#define FILE_BYTES 4096

/* The beginning of a small file; empty when there is none. */
static struct span
read_file(const char *path, char *to, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return SPAN_NONE;
	n = read(fd, to, cap);
	close(fd);
	return span_make(to, n > 0 ? (size_t)n : 0);
}

/* The next word of `s`, which moves behind it. */
static struct span
next_word(struct span *s)
{
	size_t from = 0, to;

	while (from < s->len && (unsigned char)s->ptr[from] <= ' ')
		from++;
	to = from;
	while (to < s->len && (unsigned char)s->ptr[to] > ' ')
		to++;
	struct span word = span_make(s->ptr + from, to - from);

	*s = span_make(s->ptr + to, s->len - to);
	return word;
}

/* cgroup v2: "QUOTA PERIOD" or "max PERIOD".  0: no quota. */
static uint32_t
quota_of(const char *path)
{
	char bytes[FILE_BYTES];
	struct span text = read_file(path, bytes, sizeof(bytes));
	struct span first = next_word(&text), second = next_word(&text);
	uint64_t quota, period;

	if (!num_parse_u64(first, UINT32_MAX, &quota) ||
	    !num_parse_u64(second, UINT32_MAX, &period) || period == 0)
		return 0;
	return (uint32_t)((quota + period - 1) / period);
}

static uint32_t
cgroup_quota(void)
{
	char bytes[FILE_BYTES], path[FILE_BYTES];
	struct span text = read_file("/proc/self/cgroup", bytes, sizeof(bytes));
	struct textbuf out = textbuf_make(path, sizeof(path) - 1);
	size_t end = span_find(text, '\n');
	uint32_t own = 0, root = quota_of("/sys/fs/cgroup/cpu.max");

	if (span_starts_with(text, SPAN("0::"))) {
		textbuf_lit(&out, "/sys/fs/cgroup");
		textbuf_put(&out, span_make(text.ptr + 3, end - 3));
		textbuf_lit(&out, "/cpu.max");
		path[out.full ? 0 : out.len] = '\0';
		own = quota_of(path);
	}
	if (own == 0 || (root != 0 && root < own))
		return root;
	return own;
}

uint32_t
system_cpus(void)
{
	cpu_set_t set;
	uint32_t n = 1, quota = cgroup_quota();

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (uint32_t)CPU_COUNT(&set);
	if (quota != 0 && quota < n)
		n = quota;
	return n > 0 ? n : 1;
}

uint64_t
system_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 &&
	    getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return limit.rlim_cur;
}

uint64_t
system_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = clock_monotonic_us() ^ clock_unix_ms();
	return seed;
}

bool
system_write_pid(const char *path)
{
	char text[NUM_U64_DIGITS + 1];
	struct textbuf out = textbuf_make(text, sizeof(text));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd < 0)
		return false;
	textbuf_u64(&out, (uint64_t)getpid());
	textbuf_byte(&out, '\n');
	n = write(fd, out.ptr, out.len);
	return close(fd) == 0 && n == (ssize_t)out.len;
}

void
system_remove_pid(const char *path)
{
	char bytes[FILE_BYTES];
	struct span text = read_file(path, bytes, sizeof(bytes));
	struct span word = next_word(&text);
	uint64_t pid;

	if (num_parse_u64(word, UINT64_MAX, &pid) && pid == (uint64_t)getpid())
		unlink(path);
}

static uint64_t
count_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	/* ".", "..", and the directory itself */
	return n >= 3 ? n - 3 : 0;
}

/* When the process started: /proc/self/stat counts ticks since boot in its
 * 22nd field, behind a name that may hold anything but ends with ')'. */
static uint64_t
start_ms(void)
{
	char bytes[FILE_BYTES];
	struct span text = read_file("/proc/self/stat", bytes, sizeof(bytes));
	size_t at = span_find_last(text, ')');
	struct span word = SPAN_NONE;
	uint64_t ticks, per_s = (uint64_t)sysconf(_SC_CLK_TCK);

	if (at == text.len || per_s == 0)
		return 0;
	text = span_make(text.ptr + at + 1, text.len - at - 1);
	for (int field = 3; field <= 22; field++)
		word = next_word(&text);
	if (!num_parse_u64(word, UINT64_MAX / 1000, &ticks))
		return 0;
	return clock_unix_ms() - clock_monotonic_us() / 1000 +
	    ticks * 1000 / per_s;
}

void
system_usage(struct system_usage *u)
{
	char bytes[FILE_BYTES];
	struct span text = read_file("/proc/self/statm", bytes, sizeof(bytes));
	struct span all = next_word(&text), resident = next_word(&text);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages;
	struct rusage r;
	struct rlimit limit;

	*u = (struct system_usage){
	    .open_files = count_open_files(), .start_unix_ms = start_ms()};
	if (num_parse_u64(all, UINT64_MAX / page, &pages))
		u->virtual_bytes = pages * page;
	if (num_parse_u64(resident, UINT64_MAX / page, &pages))
		u->resident_bytes = pages * page;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		u->max_files = limit.rlim_cur;
	if (getrusage(RUSAGE_SELF, &r) == 0)
		u->cpu_us = ((uint64_t)r.ru_utime.tv_sec +
				(uint64_t)r.ru_stime.tv_sec) *
			1000000 +
		    (uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec;
}
