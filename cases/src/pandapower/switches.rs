//! Switches between buses and at the ends of branches.

use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::Connection;
use grid::network::Impedance;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Side;
use grid::network::Switch;
use grid::per_unit::base_ohm;

use crate::pandapower::Builder;
use crate::pandapower::Record;

impl Builder {
    pub(super) fn add_switches(&mut self) {
        self.each("switch", |to, record| {
            let Some(bus) = to.bus(record, "bus") else { return };
            let connection = match record.text("et") {
                "b" => to.between_buses(record, bus),
                "l" => to.at_branch(record, bus, "line"),
                "t" => to.at_branch(record, bus, "trafo"),
                "t3" => to.at_winding(record, bus),
                other => {
                    let problem = format!("has et {other:?}, which is not b, l, t or t3");
                    record.say(Severity::Fatal, problem, &mut to.import);
                    None
                }
            };
            let Some(connection) = connection else { return };
            to.import.network.switches.push(Switch {
                id: format!("S{}", record.index()),
                name: record.name(),
                connection,
                closed: record.flag("closed", true),
            });
        });
    }

    fn between_buses(&mut self, record: Record<'_>, bus: BusIndex) -> Option<Connection> {
        let other = self.bus(record, "element")?;
        let z_ohm = record.number_or("z_ohm", 0.0);
        if z_ohm <= 0.0 {
            return Some(Connection::Buses(bus, other));
        }
        // A branch of that impedance with the switch at its from end.
        let network = &mut self.import.network;
        let z = z_ohm / base_ohm(network.base_mva, network.buses[bus.0].nominal_kv);
        let ratio = self.options.switch_rx_ratio;
        let x_pu = z / (1.0 + ratio * ratio).sqrt();
        let branch = BranchIndex(network.branches.len());
        network.branches.push(Branch {
            id: format!("S{}", record.index()),
            name: record.name(),
            from: bus,
            to: other,
            class: BranchClass::Impedance,
            parameters: Parameters::Impedance(Impedance {
                r_pu: ratio * x_pu,
                x_pu,
                ..Impedance::default()
            }),
            in_service: true,
        });
        let problem = format!("has z_ohm {z_ohm}: an impedance of its own with a switch at it");
        record.say(Severity::Note, problem, &mut self.import);
        Some(Connection::BranchEnd(branch, Side::From))
    }

    fn at_branch(
        &mut self,
        record: Record<'_>,
        bus: BusIndex,
        table: &'static str,
    ) -> Option<Connection> {
        let label = record.integer("element");
        let labels = self.branches.get(table);
        let found = label.and_then(|label| labels.and_then(|labels| labels.get(&label)));
        let Some(&at) = found else {
            self.not_there(record, table);
            return None;
        };
        let branch = &self.import.network.branches[at];
        let side = if branch.to == bus && (table == "line" || branch.from != bus) {
            Side::To
        } else if branch.from == bus {
            Side::From
        } else {
            self.not_at(record, table);
            return None;
        };
        self.note_impedance(record);
        Some(Connection::BranchEnd(BranchIndex(at), side))
    }

    fn at_winding(&mut self, record: Record<'_>, bus: BusIndex) -> Option<Connection> {
        let found = record.integer("element").and_then(|label| self.three_winding.get(&label));
        let Some(&at) = found else {
            self.not_there(record, "trafo3w");
            return None;
        };
        let windings = &self.import.network.three_winding[at].windings;
        let Some(winding) = windings.iter().position(|winding| winding.bus == bus) else {
            self.not_at(record, "trafo3w");
            return None;
        };
        self.note_impedance(record);
        Some(Connection::WindingEnd(at, winding))
    }

    fn not_there(&mut self, record: Record<'_>, table: &str) {
        let label =
            record.integer("element").map_or("nothing".to_owned(), |label| label.to_string());
        let problem = format!("is at {label} of table {table}, which is not there; it is left out");
        record.say(Severity::Fatal, problem, &mut self.import);
    }

    fn not_at(&mut self, record: Record<'_>, table: &str) {
        let (bus, element) = (record.integer("bus"), record.integer("element"));
        let problem = format!(
            "is at bus {}, where {table} {} has no end; it is left out",
            bus.unwrap_or_default(),
            element.unwrap_or_default()
        );
        record.say(Severity::Fatal, problem, &mut self.import);
    }

    fn note_impedance(&mut self, record: Record<'_>) {
        let z_ohm = record.number_or("z_ohm", 0.0);
        if z_ohm > 0.0 {
            let problem = format!("has z_ohm {z_ohm}, which counts between buses only");
            record.say(Severity::Note, problem, &mut self.import);
        }
    }
}
