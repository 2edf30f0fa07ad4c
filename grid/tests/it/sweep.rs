//! The sweep against a closed form, against the nodal equations, and at its edges.

use grid::Branch;
use grid::Bus;
use grid::BusIndex;
use grid::Complex;
use grid::Injection;
use grid::Network;
use grid::NetworkError;
use grid::Status;
use grid::Sweep;
use grid::per_unit::BASE_KVA;

const KV: f64 = 0.4;

fn bus(number: usize) -> Bus {
    Bus { id: format!("bus-{number}"), nominal_kv: KV }
}

fn cable(number: usize, from: usize, to: usize, length_km: f64) -> Branch {
    Branch {
        id: format!("line-{number}"),
        from: BusIndex(from),
        to: BusIndex(to),
        length_km,
        r_ohm_per_km: 0.2067,
        x_ohm_per_km: 0.0804,
        c_nf_per_km: 830.0,
        rated_a: 275.0,
    }
}

fn network(buses: usize, branches: Vec<Branch>) -> Result<Network, NetworkError> {
    Network::new((0..buses).map(bus).collect(), branches, Vec::new(), BusIndex(0), 50.0)
}

fn load(p_kw: f64) -> Injection {
    Injection { p_kw: -p_kw, q_kvar: 0.0 }
}

/// Small seeded numbers in [0, 1) (Knuth's multiplicative generator).
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

/// A tree in which each bus hangs on one drawn from those before it, cables drawn in either
/// direction.
fn random_tree(buses: usize, seed: &mut u64) -> Network {
    let branches = (1..buses).map(|to| {
        let from = (fraction(seed) * to as f64) as usize;
        let length_km = 0.005 + 0.05 * fraction(seed);
        if fraction(seed) < 0.5 {
            cable(to, from, to, length_km)
        } else {
            cable(to, to, from, length_km)
        }
    });
    network(buses, branches.collect()).unwrap()
}

/// The greatest power that the nodal equations miss at any bus but the source, in kW.
fn nodal_mismatch_kw(network: &Network, sweep: &Sweep, injections: &[Injection]) -> f64 {
    let solution = sweep.solution();
    let v: Vec<Complex> = (0..network.buses().len())
        .map(|i| {
            let (sin, cos) = solution.va_deg[i].to_radians().sin_cos();
            Complex::new(cos, sin).scale(solution.vm_pu[i])
        })
        .collect();
    let mut leaving = vec![Complex::ZERO; v.len()];
    for branch in network.branches() {
        let (f, t) = (branch.from.0, branch.to.0);
        let z = branch.series_z_pu(KV);
        let y_end = branch.end_y_pu(KV, network.frequency_hz());
        let i = ((v[f] - v[t]) * z.conj()).scale(1.0 / z.norm_sqr());
        leaving[f] += i + y_end * v[f];
        leaving[t] += y_end * v[t] - i;
    }
    let miss = |i: usize| {
        let s = v[i] * leaving[i].conj();
        let p = (s.re * BASE_KVA - injections[i].p_kw).abs();
        p.max((s.im * BASE_KVA - injections[i].q_kvar).abs())
    };
    (1..v.len()).map(miss).fold(0.0, f64::max)
}

#[test]
fn one_resistive_line_as_in_closed_form() {
    let mut line = cable(0, 0, 1, 0.5);
    (line.x_ohm_per_km, line.c_nf_per_km) = (0.0, 0.0);
    let r = line.series_z_pu(KV).re;
    let mut sweep = Sweep::new(&network(2, vec![line]).unwrap()).unwrap();
    assert!(sweep.solve(&[Injection::default(), load(40.0)]).solved());
    // v² - v + r p = 0, the upper root.
    let p = 40.0 / BASE_KVA;
    let expected = f64::midpoint(1.0, (1.0 - 4.0 * r * p).sqrt());
    assert!((sweep.solution().vm_pu[1] - expected).abs() < 1e-9);
}

#[test]
fn nodal_equations_hold_on_random_trees_2_to_60_buses_200_rounds() {
    let mut seed = 42;
    for round in 0..200 {
        let buses = 2 + (fraction(&mut seed) * 59.0) as usize;
        let network = random_tree(buses, &mut seed);
        let mut sweep = Sweep::new(&network).unwrap();
        let injections: Vec<Injection> = (0..buses)
            .map(|_| Injection {
                p_kw: 6.0 * fraction(&mut seed) - 4.0,
                q_kvar: 2.0 * fraction(&mut seed) - 1.5,
            })
            .collect();
        let status = sweep.solve(&injections);
        assert!(status.solved(), "round {round}: {status:?}");
        let mismatch_kw = nodal_mismatch_kw(&network, &sweep, &injections);
        assert!(mismatch_kw < 1e-5, "round {round}, {buses} buses: {mismatch_kw} kW");
    }
}

#[test]
fn a_load_beyond_collapse_diverges_and_the_next_solve_recovers() {
    let network = network(2, vec![cable(0, 0, 1, 0.5)]).unwrap();
    let mut sweep = Sweep::new(&network).unwrap();
    let status = sweep.solve(&[Injection::default(), load(5_000.0)]);
    assert!(!status.solved(), "{status:?}");
    if status == Status::Diverged {
        assert!(sweep.solution().vm_pu[1].is_nan());
    }
    assert!(sweep.solve(&[Injection::default(), load(10.0)]).solved());
    assert!(sweep.solution().vm_pu[1] > 0.95);
}

#[test]
fn what_hangs_behind_an_open_branch_is_dead_and_comes_back() {
    let branches = vec![cable(0, 0, 1, 0.1), cable(1, 1, 2, 0.1), cable(2, 1, 3, 0.1)];
    let mut sweep = Sweep::new(&network(4, branches).unwrap()).unwrap();
    let loads = [Injection::default(), load(5.0), load(7.0), load(9.0)];
    assert!(sweep.solve(&loads).solved());
    let whole = sweep.solution().clone();

    sweep.set_closed(1, false);
    assert!(sweep.solve(&loads).solved());
    let solution = sweep.solution();
    assert_eq!((solution.vm_pu[2], solution.branches[1].from.p_kw), (0.0, 0.0));
    assert!((solution.source.p_kw - 14.0).abs() < 0.2, "{}", solution.source.p_kw);
    assert!(!sweep.energised(BusIndex(2)) && sweep.energised(BusIndex(3)));

    sweep.set_closed(1, true);
    assert!(sweep.solve(&loads).solved());
    for (again, before) in sweep.solution().vm_pu.iter().zip(&whole.vm_pu) {
        assert!((again - before).abs() < 1e-9);
    }
}

#[test]
fn a_loop_is_refused_by_name() {
    let ring = vec![cable(0, 0, 1, 0.1), cable(1, 1, 2, 0.1), cable(2, 2, 0, 0.1)];
    let error = Sweep::new(&network(3, ring).unwrap()).unwrap_err();
    assert!(matches!(error, NetworkError::NotRadial { .. }), "{error}");
}

#[test]
fn a_bus_without_a_way_to_the_source_is_refused_by_name() {
    let error = Sweep::new(&network(3, vec![cable(0, 0, 1, 0.1)]).unwrap()).unwrap_err();
    assert_eq!(error, NetworkError::Disconnected { bus_id: "bus-2".to_owned() });
}

#[test]
fn data_sheets_that_cannot_be_are_refused() {
    let error = network(2, vec![cable(0, 0, 5, 0.1)]).unwrap_err();
    assert!(matches!(error, NetworkError::UnknownBus { bus: 5, .. }), "{error}");
    let error = network(2, vec![cable(0, 0, 1, f64::NAN)]).unwrap_err();
    assert!(matches!(error, NetworkError::BadValue { quantity: "length_km", .. }), "{error}");
}
