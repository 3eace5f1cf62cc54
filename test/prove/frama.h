/* For Frama-C alone, in front of every source it reads. */
#define __builtin_expect(x, y) (x)
/*@ assigns \nothing;
    exits \false;
*/
unsigned int swap_bytes(unsigned int value);
#define __builtin_bswap32(x) swap_bytes(x)
/*@ requires \false;
    assigns \nothing;
    exits \false;
    ensures \false;
*/
void check_failed(const char *expr, const char *file, int line);
