/* One step of the protection table in C: the yardstick for firmware/hot/protect_viper.py.
 *
 * A native module that `make bench` loads on the emulated board and nothing ships. The rules and
 * the columns are those of firmware/hot/protect_py.py; the bench compares the three step by step.
 */

#include "py/dynruntime.h"

enum {
    READING, BELOW, ALARM, ALARM_CLEAR, TRIP, RELEASE, DELAY_MS, HAS, NEED, ANY, AFTER_MS, LOCK,
    BLOCKS, MUTE, AFE, FORGET_MS, WAIT_MS, WIDTH
};
enum { ALARM_MS, TRIP_MS, HELD_MS, FLAGS, IN_ROW, QUIET_MS, STATE };
enum { HAS_ALARM = 1, HAS_TRIP = 2 };
enum { ALARMED = 1, TRIPPED = 2, LOCKED = 4, WAITS = 8 };

#define NO_READING (-0x20000000)
#define LONGEST_MS 0x10000000
#define CHANGED 256
#define ARGUMENTS 8

/* How far *value* is beyond *limit*, in the direction that is worse. */
static inline int beyond(const int *row, int value, int limit)
{
    return row[BELOW] ? limit - value : value - limit;
}

/* A time beyond while the reading is not: it leaks at half its pace. */
static inline int leaked(int ms, int dt_ms)
{
    if (ms <= 1)
        return 0;
    ms -= dt_ms >> 1;
    return ms < 1 ? 1 : ms;
}

static int alarm_flags(const int *row, int *state, int value, int dt_ms, int conditions, int flags)
{
    int ms = state[ALARM_MS];
    if (conditions & row[MUTE]) {
        flags &= ~ALARMED;
        ms = 0;
    } else if (value == NO_READING) {
        if (ms > 0 && ms < LONGEST_MS)
            ms += dt_ms;
    } else {
        int going = flags & ALARMED ? -beyond(row, value, row[ALARM_CLEAR])
                                    : beyond(row, value, row[ALARM]);
        if (going < 0) {
            ms = leaked(ms, dt_ms);
        } else {
            ms = ms ? ms + dt_ms : 2;
            if (ms > row[DELAY_MS] + 1) {
                flags ^= ALARMED;
                ms = 0;
            }
        }
    }
    state[ALARM_MS] = ms;
    return flags;
}

static int held_flags(const int *row, int *state, int value, int dt_ms, int conditions, int flags)
{
    int out = conditions & row[ANY], release = 0;
    if (state[HELD_MS] < LONGEST_MS)
        state[HELD_MS] += dt_ms;
    if (out)
        release = 1;
    else if (flags & LOCKED)
        release = 0;
    else if (row[AFTER_MS])
        release = state[HELD_MS] >= row[AFTER_MS];
    else if (value != NO_READING && (conditions & row[NEED]) == row[NEED])
        release = beyond(row, value, row[RELEASE]) <= 0;
    if (release) {
        flags &= ALARMED;
        state[TRIP_MS] = 0;
        state[QUIET_MS] = 0;
        if (out) {
            state[IN_ROW] = 0;
        } else if (row[WAIT_MS]) {
            flags |= WAITS;
            state[HELD_MS] = 0;
        }
    }
    return flags;
}

static int trip_flags(const int *row, int *state, int value, int dt_ms, int conditions,
                      int forget_ms, int afe_new, int flags, int *result)
{
    int ms = state[TRIP_MS], trip = afe_new & row[AFE];
    if (flags & WAITS) {
        state[HELD_MS] += dt_ms;
        if (conditions & row[ANY] || state[HELD_MS] >= row[WAIT_MS])
            flags &= ~WAITS;
    }
    if (conditions & row[ANY]) {
        ms = 0;
        trip = 0;
        state[IN_ROW] = 0;
    } else if (value == NO_READING) {
        if (ms > 0 && ms < LONGEST_MS)
            ms += dt_ms;
    } else if (beyond(row, value, row[TRIP]) >= 0) {
        ms = ms ? ms + dt_ms : 2;
        if (ms > row[DELAY_MS] + 1)
            trip = 1;
    } else {
        ms = leaked(ms, dt_ms);
    }
    if (trip) {
        flags = (flags & ~WAITS) | TRIPPED;
        ms = 0;
        state[HELD_MS] = 0;
        state[IN_ROW]++;
        if (row[LOCK] && state[IN_ROW] >= row[LOCK])
            flags |= LOCKED;
    } else if (ms) {
        *result |= row[BLOCKS] << 2;
    }
    state[TRIP_MS] = ms;
    if (state[IN_ROW] && !(flags & TRIPPED)) {
        state[QUIET_MS] += dt_ms;
        if (state[QUIET_MS] >= (row[FORGET_MS] ? row[FORGET_MS] : forget_ms))
            state[IN_ROW] = 0;
    }
    return flags;
}

static int step(const int *row, int *state, const int *readings, int count, int dt_ms,
                int conditions, int forget_ms, int afe_new)
{
    int result = 0;
    for (; count > 0; count--, row += WIDTH, state += STATE) {
        int value = readings[row[READING]], before = state[FLAGS], flags = before;
        if (row[HAS] & HAS_ALARM)
            flags = alarm_flags(row, state, value, dt_ms, conditions, flags);
        if (row[HAS] & HAS_TRIP) {
            if (flags & TRIPPED)
                flags = held_flags(row, state, value, dt_ms, conditions, flags);
            else
                flags = trip_flags(row, state, value, dt_ms, conditions, forget_ms, afe_new,
                                   flags, &result);
        }
        if (flags != before) {
            state[FLAGS] = flags;
            result |= CHANGED;
        }
        if (flags & (TRIPPED | WAITS))
            result |= row[BLOCKS];
    }
    return result;
}

static void *buffer(mp_obj_t object)
{
    mp_buffer_info_t info;
    mp_get_buffer_raise(object, &info, MP_BUFFER_READ);
    return info.buf;
}

static mp_obj_t protect_step(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)
{
    mp_arg_check_num(n_args, n_kw, ARGUMENTS, ARGUMENTS, false);
    return mp_obj_new_int(step(buffer(args[0]), buffer(args[1]), buffer(args[2]),
                               mp_obj_get_int(args[3]), mp_obj_get_int(args[4]),
                               mp_obj_get_int(args[5]), mp_obj_get_int(args[6]),
                               mp_obj_get_int(args[7])));
}

/* What a call costs without the step. */
static mp_obj_t nothing(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)
{
    mp_arg_check_num(n_args, n_kw, ARGUMENTS, ARGUMENTS, false);
    buffer(args[0]);
    buffer(args[1]);
    buffer(args[2]);
    return mp_obj_new_int((mp_obj_get_int(args[3]) ^ mp_obj_get_int(args[4])
                           ^ mp_obj_get_int(args[5]) ^ mp_obj_get_int(args[6])
                           ^ mp_obj_get_int(args[7])) & 1);
}

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)
{
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_protect_step, MP_DYNRUNTIME_MAKE_FUNCTION(protect_step));
    mp_store_global(MP_QSTR_nothing, MP_DYNRUNTIME_MAKE_FUNCTION(nothing));
    MP_DYNRUNTIME_INIT_EXIT
}
