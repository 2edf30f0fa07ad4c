//! What is said of buses, branches and the feeder: where something moved, and no more.

use std::collections::BTreeSet;

use grid::Complex;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimatedBranch;
use schemas::estimate::EstimatedBus;

use super::Estimate;
use super::Kept;
use super::Outs;
use super::Seen;
use super::StandIn;
use super::Tick;
use super::apart;
use super::given;
use super::nothing;
use crate::settings::Settings;

/// The change of a standard deviation that is said, as a share of it.
const SIGMA_MOVE_SHARE: f64 = 0.1;

/// The most unobservable buses that are named.
const NAMED_MAX: usize = 20;

impl Kept {
    /// Says what moved, and how well the feeder is known.
    pub(super) fn show(
        &mut self,
        seen: &Seen<'_>,
        estimate: &Estimate,
        stand_ins: &[StandIn],
        tick: &Tick<'_>,
        out: &mut Outs,
    ) {
        let mut row = nothing(tick, estimate.status, &seen.plan.problems);
        let fresh = seen.plan.points.iter().zip(seen.believed).filter(|(point, said)| {
            let counts = |at| point.fresh(at, tick.at.0, tick.settings.step_ms);
            said.is_some_and(|(at, _)| counts(at))
        });
        row.fresh_points = fresh.count() as i64;
        row.stale_points = seen.plan.points.len() as i64 - row.fresh_points;
        if estimate.solved {
            let pseudo: BTreeSet<usize> = (seen.plan.injections.iter().zip(stand_ins))
                .filter(|(_, stand_in)| !stand_in.measured)
                .map(|(injection, _)| injection.bus)
                .collect();
            self.show_buses(seen, estimate, &pseudo, tick, out);
            self.show_branches(seen, tick, out);
            let buses = 0..seen.plan.own_buses;
            let voltages = buses.map(|bus| given(seen.live.voltage(bus)));
            self.given.insert(tick.at.0, voltages.collect());
            count(seen, estimate, &mut row);
        } else {
            self.shown.clear(out);
        }
        let key = tick.feeder_id.to_owned();
        out.observability.set(&mut self.shown.observability, key, Some(row));
    }

    fn show_buses(
        &mut self,
        seen: &Seen<'_>,
        estimate: &Estimate,
        pseudo: &BTreeSet<usize>,
        tick: &Tick<'_>,
        out: &mut Outs,
    ) {
        for (bus, bus_id) in seen.plan.buses[..seen.plan.own_buses].iter().enumerate() {
            let voltage = seen.live.voltage(bus).filter(|v| v.is_finite());
            let observable = estimate.unobservable.binary_search(&bus).is_err();
            let energised = seen.live.energised(bus);
            let alive = voltage.filter(|_| energised);
            let before = self.shown.buses.get(bus_id);
            let now = EstimatedBus {
                feeder_id: tick.feeder_id.to_owned(),
                bus_id: bus_id.clone(),
                tick_at: tick.at,
                vm_pu: voltage.map(Complex::abs),
                va_deg: alive.map(|v| v.arg().to_degrees()),
                sigma_vm_pu: alive.map(|_| seen.sigmas[bus]).filter(|sigma| sigma.is_finite()),
                energised,
                observable,
                pseudo: energised && pseudo.contains(&bus),
            };
            if before.is_none_or(|before| bus_moved(before, &now, tick.settings)) {
                out.buses.set(&mut self.shown.buses, bus_id.clone(), Some(now));
            }
        }
    }

    fn show_branches(&mut self, seen: &Seen<'_>, tick: &Tick<'_>, out: &mut Outs) {
        let kw = 1e3 * seen.plan.base_mva;
        for (branch, branch_id) in seen.plan.branches.iter().enumerate() {
            let of = &seen.plan.ratings[branch];
            let flows = seen.live.flows(branch);
            let say = |value: &dyn Fn([Complex; 2], [Complex; 2]) -> f64| {
                flows.map(|(s, i)| value(s, i)).filter(|value| value.is_finite())
            };
            let rated = of.most.iter().any(|rated| rated.is_finite());
            let loading = say(&|_, i| (i[0].abs() / of.most[0]).max(i[1].abs() / of.most[1]));
            let ratio = seen.live.ratio(branch);
            let now = EstimatedBranch {
                feeder_id: tick.feeder_id.to_owned(),
                branch_id: branch_id.clone(),
                tick_at: tick.at,
                p_kw: say(&|s, _| s[0].re * kw),
                q_kvar: say(&|s, _| s[0].im * kw),
                i_a: say(&|_, i| i[0].abs() * of.base_a),
                loading: loading.filter(|_| rated),
                ratio: ratio.map(|(ratio, _)| ratio),
                sigma_ratio: ratio.map(|(_, sigma)| sigma).filter(|sigma| sigma.is_finite()),
            };
            let before = self.shown.branches.get(branch_id);
            if before.is_none_or(|before| branch_moved(before, &now, tick.settings)) {
                out.branches.set(&mut self.shown.branches, branch_id.clone(), Some(now));
            }
        }
    }
}

/// How well the feeder is known.
fn count(seen: &Seen<'_>, estimate: &Estimate, row: &mut EstimateObservability) {
    let own = seen.plan.own_buses;
    let dead = (0..own).filter(|&bus| !seen.live.energised(bus)).count();
    // They ascend, and the feeder's own come first.
    let blind = &estimate.unobservable;
    let blind = &blind[..blind.partition_point(|&bus| bus < own)];
    row.dead_buses = dead as i64;
    row.unobservable_buses = blind.len() as i64;
    row.observable_buses = own as i64 - (dead + blind.len()) as i64;
    let named = blind.iter().filter_map(|&bus| seen.plan.buses.get(bus).map(String::as_str));
    let mut names: Vec<&str> = named.take(NAMED_MAX).collect();
    if blind.len() > NAMED_MAX {
        names.push("…");
    }
    row.unobservable = names.join(" ");
    row.objective = if estimate.objective.is_finite() { estimate.objective } else { 0.0 };
    row.degrees_of_freedom = estimate.degrees_of_freedom as i64;
    row.chi_square_limit = estimate.chi_square_limit;
}

fn bus_moved(before: &EstimatedBus, now: &EstimatedBus, settings: &Settings) -> bool {
    let flags = |bus: &EstimatedBus| (bus.energised, bus.observable, bus.pseudo);
    let by = settings.estimate_move_pu;
    let sigma_by = SIGMA_MOVE_SHARE * before.sigma_vm_pu.unwrap_or(0.0);
    flags(before) != flags(now)
        || apart(before.vm_pu, now.vm_pu, by)
        || apart(before.va_deg, now.va_deg, by.to_degrees())
        || apart(before.sigma_vm_pu, now.sigma_vm_pu, sigma_by)
}

fn branch_moved(before: &EstimatedBranch, now: &EstimatedBranch, settings: &Settings) -> bool {
    let by = settings.estimate_move_kw;
    let sigma_by = SIGMA_MOVE_SHARE * before.sigma_ratio.unwrap_or(0.0);
    apart(before.p_kw, now.p_kw, by)
        || apart(before.q_kvar, now.q_kvar, by)
        || apart(before.ratio, now.ratio, settings.estimate_move_pu)
        || apart(before.sigma_ratio, now.sigma_ratio, sigma_by)
}
