//! The report on an unbalanced network.

use std::collections::BTreeSet;

use grid::network::Fault;
use grid::network::Severity;
use grid::three_phase::Kind;
use grid::three_phase::Network;
use grid::three_phase::check;

use super::Page;
use super::power;
use super::supply;
use crate::UnbalancedImport;

pub(super) fn report(import: &UnbalancedImport) -> String {
    let network = &import.network;
    let mut page = Page::default();
    let name = if network.name.is_empty() { "A network" } else { network.name.as_str() };
    // A network of matrices has no frequency.
    let hertz = network.frequency_hz;
    let hertz = if hertz > 0.0 { format!(", {hertz} Hz") } else { String::new() };
    page.line(&format!("{name}: three-phase{hertz}"));
    elements(network, &mut page);
    let unfed = supply::tell(network, &mut page);
    let on = || network.loads.iter().filter(|load| load.in_service);
    let (p, q) = on().fold((0.0, 0.0), |(p, q), load| (p + load.p_w, q + load.q_var));
    page.heading("Power as it stands in the file, at rated voltage");
    page.line(&format!(
        "  load                  {:>12}{:>14}",
        power(p / 1e6, "W"),
        power(q / 1e6, "var")
    ));
    if !import.measurements.is_empty() {
        page.heading(&format!("Measured: {} values", import.measurements.len()));
    }
    let faults = faults(import, unfed);
    page.faults(&faults);
    page.remarks(&import.remarks);
    let count = |severity: Severity| faults.iter().filter(|f| f.severity == severity).count();
    let left_out = import.remarks.iter().filter(|remark| remark.is_fatal()).count();
    let taken = import.remarks.iter().filter(|remark| remark.is_warning()).count();
    page.verdict(count(Severity::Fatal), left_out, count(Severity::Warning) + taken);
    page.0
}

/// What is wrong with it, with the zones that nothing feeds, where anything is fed at all.
fn faults(import: &UnbalancedImport, unfed: usize) -> Vec<Fault> {
    let mut faults = check::check(&import.network);
    if unfed > 0 && import.is_fed() {
        let zones = if unfed == 1 { "a zone" } else { "zones" };
        faults.push(Fault {
            severity: Severity::Warning,
            element: "network".to_owned(),
            problem: format!("has {zones} that no source feeds: see Supply"),
            hint: String::new(),
        });
    }
    faults.sort_by_key(|fault| fault.severity);
    faults
}

fn elements(network: &Network, page: &mut Page) {
    page.heading("Elements");
    let buses: BTreeSet<&str> = network.nodes.iter().map(|node| node.bus.as_str()).collect();
    page.count("buses", buses.len(), "");
    page.count("nodes (conductors of buses)", network.nodes.len(), "");
    let of = |is: &dyn Fn(&Kind) -> bool| {
        let of: Vec<_> = network.elements.iter().filter(|element| is(&element.kind)).collect();
        let idle = of.iter().filter(|element| !element.in_service).count();
        let more = if idle == 0 { String::new() } else { format!("{idle} out of service") };
        (of.len(), more)
    };
    let (count, more) = of(&|kind| matches!(kind, Kind::Fixed));
    page.count("lines, reactors, matrices", count, &more);
    let (count, more) = of(&|kind| matches!(kind, Kind::Transformer(_)));
    page.count("transformers, regulators", count, &more);
    let (count, more) = of(&|kind| matches!(kind, Kind::Capacitor(_)));
    page.count("capacitors", count, &more);
    let (count, _) = of(&|kind| matches!(kind, Kind::Switch { .. }));
    let (open, _) = of(&|kind| matches!(kind, Kind::Switch { closed: false }));
    let positions = if open == 0 { "all closed".to_owned() } else { format!("{open} open") };
    page.count("switches", count, &positions);
    let (count, more) = of(&|kind| matches!(kind, Kind::Source));
    page.count("sources", count, &more);
    page.count("loads", network.loads.len(), "");
    let idle = network.controls.iter().filter(|control| !control.in_service()).count();
    let more = if idle == 0 { String::new() } else { format!("{idle} off") };
    page.count("controls", network.controls.len(), &more);
}
