/* The cells of tools/models/plant.py once more, for studies that take a year: the same equations,
 * 10 s a step. tests_host/tools/test_soc_study.py holds the two against each other.
 *
 * On top of it: ageing, balancing at the top, a battery inverter's charge limit, and a current
 * sensor with gain, offset, drift and noise of its own. All figures come from soc_study.py. */

#include <math.h>
#include <stdint.h>

#define CELLS 16
#define GROUPS 4
#define ROWS 448
#define BLED (2.0 / 3.0)        /* two scans of three */

struct plant {
    double ocv[ROWS + 1], r_factor[ROWS + 1];
    double cap_mah[CELLS], r25[CELLS], leak_ma[CELLS], soc[CELLS], cell_error_mv[CELLS];
    double group_c[GROUPS], ambient_c;
    double coulombic, hyst_mv, hyst, i1, i2, nominal_mah, fade_s;
    double gain, offset_ma, offset_ma_k, noise_ma, temp_error_c;
    double current_ma, ccl_ma, charge_rest, temp_c;
    double moved_in_mah, moved_out_mah, bled_mah, energy_out_wh;
    double v[CELLS];
    uint64_t random;
    int64_t balance, balancing, derate, blocked_chg, blocked_dsg;
};

static double uniform(struct plant *p)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (double)(p->random >> 11) / 9007199254740992.0;
}

static double noise(struct plant *p)        /* deviation 1, nearly normal */
{
    return (uniform(p) + uniform(p) + uniform(p) - 1.5) * 2.0;
}

static void warm(struct plant *p, double heat, const double *r, double dt)
{
    static const double away[GROUPS] = {1.6, 1.2, 1.2, 1.6};
    double old[GROUPS];

    for (int g = 0; g < GROUPS; g++)
        old[g] = p->group_c[g];
    for (int g = 0; g < GROUPS; g++) {
        double watt = heat * (r[4 * g] + r[4 * g + 1] + r[4 * g + 2] + r[4 * g + 3]) * 1e-6;
        watt -= away[g] * (old[g] - p->ambient_c);
        if (g)
            watt -= 2.5 * (old[g] - old[g - 1]);
        if (g < GROUPS - 1)
            watt -= 2.5 * (old[g] - old[g + 1]);
        p->group_c[g] = old[g] + watt * dt / 8000.0;
    }
}

static double limit_ma(const struct plant *p, double highest_mv)
{
    double cold = (p->temp_c - 6.0) / 9.0 * 50000.0, most = 50000.0;

    if (highest_mv > 3500.0)
        most = highest_mv < 3560.0 ? (3560.0 - highest_mv) / 60.0 * 12500.0 : 0.0;
    else if (highest_mv > 3400.0)
        most = 50000.0 - (highest_mv - 3400.0) * 375.0;
    return cold < 0.0 ? 0.0 : cold < most ? cold : most;
}

/* Balancing by its rule: from 3500 mV and 30 mV to 6 mV, while the highest is above 3400 mV and
 * nothing discharges; highest cells first, never two neighbours, at most eight. */
static void choose(struct plant *p, const double *seen, double high, double low, double i)
{
    int64_t taken = 0;

    p->balance = 0;
    if (high >= 3500.0 && high - low >= 30.0)
        p->balancing = 1;
    else if (high < 3400.0 || (high >= 3500.0 && high - low <= 6.0))
        p->balancing = 0;
    if (!p->balancing || i < -300.0)
        return;
    for (int n = 0; n < 8; n++) {
        int best = -1;
        for (int c = 0; c < CELLS; c++)
            if (!(taken >> c & 1) && seen[c] > low + 6.0 && (best < 0 || seen[c] > seen[best]))
                best = c;
        if (best < 0)
            return;
        p->balance |= (int64_t)1 << best;
        taken |= ((int64_t)7 << best) >> 1;
    }
}

/* *steps* times *dt* seconds. wish_ma: what the inverter would like, charging positive; charger_mv
 * its voltage limit. out, per step: charge uAh, current mA, highest and lowest cell mV, coldest
 * cell 0.1 degC, protections (1 over-voltage, 2 under-voltage, 4 fets_open), true current in mA. */
void plant_run(struct plant *p, int steps, double dt, double wish_ma, double charger_mv,
               int allowed_dsg, int fets_open, int32_t *out)
{
    double k1 = 1.0 - exp(-dt / 30.0), k2 = 1.0 - exp(-dt / 600.0);
    double b[CELLS], r[CELLS], seen[CELLS];
    double noise_ma = p->noise_ma * sqrt(10.0 / dt);

    for (int n = 0; n < steps; n++, out += 7) {
        double i = p->current_ma, polar = 0.55 * p->i1 + 0.75 * p->i2;
        double heat = i * (i + polar);
        double moved = i * dt / 3600.0, taken = moved;

        p->i1 += (i - p->i1) * k1;
        p->i2 += (i - p->i2) * k2;
        if (i > 0.0) {
            double k = moved * 40.0 / p->nominal_mah;
            taken = moved * p->coulombic;
            p->hyst += (1.0 - p->hyst) * (k < 1.0 ? k : 1.0);
            p->moved_in_mah += moved;
        } else if (i < 0.0) {
            double k = -moved * 40.0 / p->nominal_mah;
            p->hyst -= (1.0 + p->hyst) * (k < 1.0 ? k : 1.0);
            p->moved_out_mah -= moved;
        }
        for (int c = 0; c < CELLS; c++) {
            double drain = p->leak_ma[c];
            if (p->balance >> c & 1) {
                double bled = p->v[c] / 68.0 * BLED;
                drain += bled;
                p->bled_mah += bled * dt / 3600.0;
            }
            p->soc[c] += (taken - drain * dt / 3600.0) / p->cap_mah[c];
            p->cap_mah[c] *= 1.0 - p->fade_s * dt;
        }

        for (int c = 0; c < CELLS; c++) {
            double x = (p->soc[c] + 0.06) * 400.0, temp = p->group_c[c >> 2];
            int k = (int)x;
            if (x < 0.0) {
                k = 0;
                x = 0.0;
            } else if (k >= ROWS) {
                k = ROWS - 1;
                x = ROWS;
            }
            r[c] = p->r25[c] * p->r_factor[k]
                * exp(2500.0 * (1.0 / (temp + 273.15) - 1.0 / 298.15));
        }
        warm(p, heat > 0.0 ? heat : 0.0, r, dt);

        double emf = 0.0, ohm = 0.0;
        polar = 0.55 * p->i1 + 0.75 * p->i2;
        for (int c = 0; c < CELLS; c++) {
            double x = (p->soc[c] + 0.06) * 400.0;
            int k = (int)x;
            if (x < 0.0) {
                k = 0;
                x = 0.0;
            } else if (k >= ROWS) {
                k = ROWS - 1;
                x = ROWS;
            }
            b[c] = p->ocv[k] + (x - k) * (p->ocv[k + 1] - p->ocv[k])
                + (p->group_c[c >> 2] - 25.0) * 0.12 * (p->soc[c] - 0.3)
                + p->hyst * p->hyst_mv + r[c] * polar;
            emf += b[c];
            ohm += r[c];
        }
        ohm += (250.0 + 900.0 + 600.0) * 1e-6;
        i = fets_open ? 0.0 : wish_ma;
        if (i > 0.0) {
            double most = (charger_mv - emf) / ohm;
            if (p->derate && i > p->ccl_ma)
                i = p->ccl_ma;
            if (i > most)
                i = most > 0.0 ? most : 0.0;
            if (p->blocked_chg)
                i = 0.0;
        } else if (i < 0.0) {
            if (!allowed_dsg || p->blocked_dsg)
                i = 0.0;
        }
        p->current_ma = i;

        double high = 0.0, low = 1e9;
        for (int c = 0; c < CELLS; c++) {
            double v = b[c] + r[c] * i;
            p->v[c] = v;
            v += p->cell_error_mv[c] + 1.0 * noise(p);
            seen[c] = v;
            if (v > high)
                high = v;
            if (v < low)
                low = v;
        }
        p->ccl_ma += 0.25 * (limit_ma(p, high) - p->ccl_ma);
        int trips = 0;
        if (high >= 3600.0 && !p->blocked_chg) {
            p->blocked_chg = 1;
            trips |= 1;
        }
        if (low <= 2700.0 && !p->blocked_dsg) {
            p->blocked_dsg = 1;
            trips |= 2;
        }
        if (p->blocked_chg && i < -1000.0)
            p->blocked_chg = 0;
        if (p->blocked_dsg && i > 300.0)
            p->blocked_dsg = 0;
        choose(p, seen, high, low, i);

        double temp = p->group_c[0];
        for (int g = 1; g < GROUPS; g++)
            if (p->group_c[g] < temp)
                temp = p->group_c[g];
        p->temp_c = temp;
        double shown = i * (1.0 + p->gain) + p->offset_ma + p->offset_ma_k * (temp - 25.0);
        double charge = (shown + noise_ma * noise(p)) * dt / 3.6 + p->charge_rest;
        out[0] = (int32_t)floor(charge + 0.5);
        p->charge_rest = charge - out[0];
        out[1] = (int32_t)floor((shown + 3.0 * p->noise_ma * noise(p)) / 10.0 + 0.5) * 10;
        out[2] = (int32_t)floor(high + 0.5);
        out[3] = (int32_t)floor(low + 0.5);
        out[4] = (int32_t)floor((temp + p->temp_error_c) * 10.0 + 0.5);
        out[5] = trips | (fets_open ? 4 : 0);
        out[6] = (int32_t)floor(i + 0.5);
        p->energy_out_wh -= i < 0.0 ? i * 1e-6 * (emf + i * ohm) * dt / 3600.0 : 0.0;
    }
}

/* The string's charge: empty when its first cell is, full when its first cell is. */
void plant_truth(const struct plant *p, double *left_mah, double *total_mah)
{
    double left = 1e12, room = 1e12;

    for (int c = 0; c < CELLS; c++) {
        double a = p->soc[c] * p->cap_mah[c], z = (1.0 - p->soc[c]) * p->cap_mah[c];
        if (a < left)
            left = a;
        if (z < room)
            room = z;
    }
    *left_mah = left;
    *total_mah = left + room;
}
