/*
 * snapshot - a reload never frees a configuration that a request still uses,
 * and frees every one that nobody uses.
 *
 * Control counts one reference for each worker before it mails a snapshot.  A
 * worker takes it at the end of its turn, and mails the one before back when
 * its last request on that has let go.  Only control frees.
 *
 * FAULT_1 mails back at the swap          FAULT_2 frees at the first return
 * FAULT_3 counts one reference in all     FAULT_4 never mails an unused one back
 * FAULT_5 lets go twice                   FAULT_6 swaps while a request begins
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef RELOADS
#define RELOADS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* of each worker */
#endif
#define SNAPSHOTS (RELOADS + 1)

bool freed[SNAPSHOTS];
byte refs[SNAPSHOTS];
chan mail[WORKERS] = [SNAPSHOTS] of { byte };
chan back = [SNAPSHOTS * WORKERS * 2] of { byte };

proctype control() {
	byte k = 1, s, w;

end:
	do
	:: k <= RELOADS ->
#ifdef FAULT_3
		refs[k] = 1;
#else
		refs[k] = WORKERS;
#endif
		w = 0;
		do
		:: w < WORKERS -> mail[w] ! k; w++
		:: else -> break
		od;
		k++
	:: back ? s ->
		assert(refs[s] > 0);
		refs[s]--;
		if
#ifdef FAULT_2
		:: !freed[s] -> freed[s] = true
#endif
		:: refs[s] == 0 -> assert(!freed[s]); freed[s] = true
		:: else
		fi
	od
}

inline let_go(s) {
	on[s]--;
	if
	:: on[s] == 0 && s != current -> back ! s
#ifdef FAULT_5
	:: on[s] > 0 && s != current -> back ! s
#endif
	:: else
	fi
}

/* worker_on_turn: nothing runs on the one before but what has begun. */
inline swap() {
	was = current;
	current = next;
	if
#ifndef FAULT_4
	:: on[was] == 0 -> back ! was
#endif
#ifdef FAULT_1
	:: on[was] > 0 -> back ! was
#endif
	:: else
	fi
}

proctype worker(byte me) {
	byte current, next, was, s, to_come = REQUESTS;
	byte on[SNAPSHOTS];

end:
	do
	:: to_come > 0 -> /* a request begins */
		to_come--;
		s = current;
#ifdef FAULT_6
		if
		:: mail[me] ? next -> swap()
		:: true
		fi;
#endif
		assert(!freed[s]);
		on[s]++
	:: on[0] > 0 -> assert(!freed[0]); let_go(0)
	:: on[1] > 0 -> assert(!freed[1]); let_go(1)
	:: on[RELOADS] > 0 && RELOADS > 1 -> assert(!freed[RELOADS]); let_go(RELOADS)
	:: mail[me] ? next -> swap()
	od
}

init {
	byte w, s;

	atomic {
		refs[0] = WORKERS;
		run control();
		for (w : 0 .. WORKERS - 1) {
			run worker(w)
		}
	}
	timeout;
	for (s : 0 .. RELOADS - 1) {
		assert(freed[s])
	}
	assert(!freed[RELOADS])
}
