/*
 * queue - no wake-up is lost between requests that wait and slots that are
 * freed: proxy/queue, proxy/picker and proxy/pool, one backend with `max`.
 *
 * Every access to what workers share is a step of its own; what only one
 * worker touches goes along with the step before.  Nobody's timer helps: at
 * rest, when nothing is left to do, nobody may wait for a slot that is free
 * or held by an idle connection.
 *
 * FAULT_1 joins without looking again     FAULT_2 counts before the slot is free
 * FAULT_3 clears the wake flag last       FAULT_4 keeps a wake-up to itself
 * FAULT_5 asks nobody's idle connection   FAULT_6 looks before it is counted
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* of the first worker; the others have one less */
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#define NOBODY 255

mtype = { WAKE, EVICT };

byte slots = SLOTS;     /* free ones */
byte waiting;           /* upstream.waiting */
byte oldest[WORKERS];   /* lanes[].oldest_us */
bool wake_sent[WORKERS], evict_sent[WORKERS];
chan mail[WORKERS] = [4] of { mtype };
byte idle_now, clock;

/* What is left in temporaries makes no difference. */
#define FORGET atomic { i = 0; best = 0; who = 0; was = false }

/* The queue of this worker: when each of its `n` began to wait. */
#define FIRST (n > 0 -> since[0] : NOBODY)

inline publish_oldest() {
	oldest[me] = FIRST
}

inline leave_queue() {
	d_step {
		n--;
		i = 0;
		do
		:: i < n -> since[i] = since[i + 1]; i++
		:: else -> break
		od;
		publish_oldest()
	}
	waiting--
}

inline queue_wake() {
	if
	:: waiting == 0
	:: else ->
		best = NOBODY;
		who = me;
		i = 0;
		do
		:: i < WORKERS ->
			d_step {
				if
				:: oldest[i] < best -> best = oldest[i]; who = i
				:: else
				fi;
				i++
			}
		:: else -> break
		od;
		if
		:: who == me -> task = true
		:: else ->
			d_step { was = wake_sent[who]; wake_sent[who] = true }
			if
			:: was
			:: else -> mail[who] ! WAKE
			fi
		fi;
		FORGET
	fi
}

inline pick() {
	d_step {
		ok = false;
		if
		:: idle > 0 -> idle--; idle_now--; ok = true
		:: else ->
			if
			:: slots > 0 -> slots--; ok = true
			:: else
			fi
		fi;
		if
		:: ok -> busy++
		:: else
		fi
	}
#ifndef FAULT_5
	i = 0;
	do
	:: !ok && i < WORKERS && i != me ->
		d_step { was = evict_sent[i]; evict_sent[i] = true }
		if
		:: was
		:: else -> mail[i] ! EVICT
		fi;
		i++
	:: !ok && i < WORKERS && i == me -> i++
	:: else -> break
	od;
	FORGET
#endif
}

/* picker_slot_freed */
inline slot_freed() {
#ifdef FAULT_2
	if
	:: waiting == 0 -> slots++
	:: else -> slots++; queue_wake()
	fi
#else
	slots++;
	queue_wake()
#endif
}

inline queue_run() {
	do
	:: n > 0 ->
		pick();
		if
		:: ok -> leave_queue()
		:: else -> publish_oldest(); break
		fi
	:: else ->
#ifndef FAULT_4
		queue_wake();
#endif
		break
	od
}

inline queue_join() {
	waiting++;
	d_step {
		since[n] = clock;
		clock++;
		n++;
		publish_oldest();
#ifndef FAULT_1
		if
		:: n == 1 -> task = true
		:: else
		fi
#endif
	}
}

proctype worker(byte me) {
	byte n, busy, idle, to_come, may_leave = 1;
	byte since[REQUESTS + 1];
	byte i, best, who;
	bool task, was, ok;

	to_come = (me == 0 -> REQUESTS : REQUESTS - 1);
end:
	do
	:: to_come > 0 ->
		to_come--;
		if
		:: n == 0 ->
			pick();
			if
			:: ok
			:: else ->
#ifdef FAULT_6
				task = false;
				d_step { since[n] = clock; clock++; n++ }
				waiting++;
				publish_oldest()
#else
				queue_join()
#endif
			fi
		:: else -> queue_join()
		fi
	:: busy > 0 -> /* its connection ends */
		busy--;
		slot_freed()
	:: busy > 0 -> /* pool_return */
		busy--;
		if
		:: waiting > 0 && n == 0 -> slot_freed()
		:: else -> d_step { idle++; idle_now++ }; queue_wake()
		fi
	:: mail[me] ? WAKE ->
#ifdef FAULT_3
		queue_run();
		wake_sent[me] = false
#else
		wake_sent[me] = false;
		queue_run()
#endif
	:: mail[me] ? EVICT ->
		evict_sent[me] = false;
		do
		:: idle > 0 -> d_step { idle--; idle_now-- }; slot_freed()
		:: else -> break
		od
	:: task -> task = false; queue_run()
	:: n > 0 && may_leave > 0 -> /* queue_timeout, or its client is gone */
		may_leave--;
		leave_queue()
	:: may_leave > 0 -> may_leave--
	od
}

init {
	byte w;

	atomic {
		for (w : 0 .. WORKERS - 1) {
			oldest[w] = NOBODY
		}
		for (w : 0 .. WORKERS - 1) {
			run worker(w)
		}
	}
	/* Nobody can move any more. */
	timeout -> assert(waiting == 0);
	assert(slots + idle_now == SLOTS)
}
