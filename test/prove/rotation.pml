/*
 * rotation - a worker never uses a table that was freed, and a backend that
 * is reported as drained gets no request any more.
 *
 * Control builds a table, publishes its pointer, and mails PASS to each worker.
 * A worker handles mail between uses, so a PASS that comes back says that it
 * no longer has an older pointer.  A retired table is freed when all workers
 * have passed; a drain is over when they have and nothing is in flight.
 *
 * FAULT_1 mails before it publishes       FAULT_2 frees after the first PASS
 * FAULT_3 frees at once                   FAULT_4 the worker answers in mid-use
 * FAULT_5 a drain does not wait for PASS  FAULT_6 a PASS for one is taken for all
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef UPDATES
#define UPDATES 2
#endif
#define TABLES (UPDATES + 1)
#define DRAINING 2 /* from this table on backend 0 is in none */

byte published;
bool freed[TABLES];
byte in_flight; /* on backend 0 */
bool drained;
chan mail[WORKERS] = [TABLES] of { byte };
chan passed = [TABLES * WORKERS] of { byte };

#ifdef FAULT_5
#define PASSED true
#else
#define PASSED freed[DRAINING - 1]
#endif
#define HAS_BACKEND(table) ((table) < DRAINING)

inline post(table) {
	w = 0;
	do
	:: w < WORKERS -> mail[w] ! table; w++
	:: else -> break
	od
}

inline collect() {
	passed ? t;
	left[t]--;
	if
#ifdef FAULT_2
	:: left[t] == WORKERS - 1 -> freed[t] = true
#else
	:: left[t] == 0 -> freed[t] = true
#endif
	:: else
	fi
}

proctype control() {
	byte k, t, w, old;
	byte left[TABLES];

	k = 1;
	do
	:: k <= UPDATES ->
		old = published;
		left[old] = WORKERS;
#ifdef FAULT_1
		post(old);
		published = k;
#else
		published = k;
#ifdef FAULT_3
		freed[old] = true;
#endif
		post(old);
#endif
		k++
	:: len(passed) > 0 -> collect()
	:: k > UPDATES && !drained && in_flight == 0 && PASSED -> drained = true
	:: k > UPDATES && drained && freed[UPDATES - 1] && len(passed) == 0 -> break
	od;
	/* All but the last are gone, and that one is not. */
	k = 0;
	do
	:: k < UPDATES -> assert(freed[k]); k++
	:: else -> break
	od;
	assert(!freed[UPDATES])
}

proctype worker(byte me) {
	byte table, t, begun, uses = 2;

end:
	do
	:: uses > 0 -> /* one turn: all its looks at the table */
		uses--;
		table = published;
		assert(!freed[table]);
#ifdef FAULT_4
		if
		:: mail[me] ? t -> passed ! t
		:: true
		fi;
#endif
		assert(!freed[table]);
		if
		:: HAS_BACKEND(table) ->
			in_flight++;
			begun++;
			assert(!drained)
		:: else
		fi;
		assert(!freed[table])
	:: begun > 0 -> begun--; in_flight--
	:: mail[me] ? t ->
		passed ! t
#ifdef FAULT_6
		;
		do
		:: t < UPDATES -> t++; passed ! t
		:: else -> break
		od
#endif
	od
}

init {
	byte w;

	atomic {
		run control();
		for (w : 0 .. WORKERS - 1) {
			run worker(w)
		}
	}
}
