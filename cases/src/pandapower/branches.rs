//! Lines, impedances and shunts.

use grid::model::siemens_from_nf;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Impedance;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Shunt;

use crate::folder::UNLIMITED_KA;
use crate::pandapower::Builder;
use crate::pandapower::Record;

impl Builder {
    /// Notes where a branch of a table stands and adds it.
    pub(super) fn add_branch(&mut self, table: &'static str, label: i64, branch: Branch) {
        let at = self.import.network.branches.len();
        self.branches.entry(table).or_default().insert(label, at);
        self.import.network.branches.push(branch);
    }

    pub(super) fn add_lines(&mut self) {
        self.each("line", |to, record| {
            if let Some(branch) = to.line(record) {
                to.add_branch("line", record.index(), branch);
            }
        });
    }

    fn line(&mut self, record: Record<'_>) -> Option<Branch> {
        let ends = (self.bus(record, "from_bus"), self.bus(record, "to_bus"));
        let columns = ["length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km"];
        let [length, r, x, c_nf] = record.needs(columns, &mut self.import)?;
        let parallel = record.number_or("parallel", 1.0);
        let g = record.number_or("g_us_per_km", 0.0);
        let (from, to) = (ends.0?, ends.1?);
        let kv = |bus: grid::BusIndex| self.import.network.buses[bus.0].nominal_kv;
        // pandapower takes a line's ohms at the nominal voltage of its from bus.
        let (from_kv, to_kv) = (kv(from), kv(to));
        let at = if from_kv > 0.0 { (to_kv / from_kv).powi(2) } else { 1.0 };
        if at != 1.0 {
            let problem = format!("connects {from_kv} kV with {to_kv} kV without a transformer");
            record.say(Severity::Warning, problem, &mut self.import);
        }
        let frequency_hz = self.import.network.frequency_hz;
        let rated_ka = record.number("max_i_ka").filter(|&ka| ka < UNLIMITED_KA);
        Some(Branch {
            id: format!("L{}", record.index()),
            name: record.name(),
            from,
            to,
            class: BranchClass::Line,
            parameters: Parameters::Line(Line {
                r_ohm: at * r * length / parallel,
                x_ohm: at * x * length / parallel,
                g_siemens: g * 1e-6 * length * parallel / at,
                b_siemens: siemens_from_nf(c_nf, frequency_hz) * length * parallel / at,
                rated_ka: rated_ka.map(|ka| ka * record.number_or("df", 1.0) * parallel),
            }),
            in_service: record.in_service(),
        })
    }

    pub(super) fn add_impedances(&mut self) {
        self.each("impedance", |to, record| {
            if let Some(branch) = to.impedance(record) {
                to.add_branch("impedance", record.index(), branch);
            }
        });
    }

    fn impedance(&mut self, record: Record<'_>) -> Option<Branch> {
        let ends = (self.bus(record, "from_bus"), self.bus(record, "to_bus"));
        let columns = ["rft_pu", "xft_pu", "rtf_pu", "xtf_pu", "sn_mva"];
        let [r, x, r_back, x_back, own_mva] = record.needs(columns, &mut self.import)?;
        if (r, x) != (r_back, x_back) {
            let problem = "differs by direction (rft_pu, xft_pu from rtf_pu, xtf_pu): no passive \
                           branch does, so it is left out";
            record.say(Severity::Fatal, problem.to_owned(), &mut self.import);
            return None;
        }
        // Per unit of its own power here, of the network's there.
        let scale = self.import.network.base_mva / own_mva;
        let shunt =
            |g: &str, b: &str| (record.number_or(g, 0.0) / scale, record.number_or(b, 0.0) / scale);
        Some(Branch {
            id: format!("IMP{}", record.index()),
            name: record.name(),
            from: ends.0?,
            to: ends.1?,
            class: BranchClass::Impedance,
            parameters: Parameters::Impedance(Impedance {
                r_pu: r * scale,
                x_pu: x * scale,
                from_pu: shunt("gf_pu", "bf_pu"),
                to_pu: shunt("gt_pu", "bt_pu"),
                ..Impedance::default()
            }),
            in_service: record.in_service(),
        })
    }

    pub(super) fn add_shunts(&mut self) {
        self.each("shunt", |to, record| {
            let bus = to.bus(record, "bus");
            let power = to.shunt_power(record);
            let (Some(bus), Some((p_mw, q_mvar))) = (bus, power) else { return };
            let nominal_kv = to.import.network.buses[bus.0].nominal_kv;
            let ratio = nominal_kv / record.number_or("vn_kv", nominal_kv);
            to.import.network.shunts.push(Shunt {
                id: format!("SH{}", record.index()),
                name: record.name(),
                bus: bus.0,
                p_mw_at_1pu: p_mw * ratio * ratio,
                q_mvar_at_1pu: q_mvar * ratio * ratio,
                in_service: record.in_service(),
            });
        });
    }

    /// Power of all steps at the shunt's own rated voltage.
    fn shunt_power(&mut self, record: Record<'_>) -> Option<(f64, f64)> {
        let step = record.number_or("step", 1.0);
        if !record.flag("step_dependency_table", false) {
            let [p, q] = record.needs(["p_mw", "q_mvar"], &mut self.import)?;
            return Some((p * step, q * step));
        }
        let id = record.number("id_characteristic_table");
        let table = self.frames.get("shunt_characteristic_table");
        let found = table
            .into_iter()
            .flat_map(|table| table.records())
            .find(|row| row.number("id_characteristic") == id && row.number("step") == Some(step));
        let power = found.and_then(|row| row.number("p_mw").zip(row.number("q_mvar")));
        if power.is_none() {
            let problem = format!(
                "takes its power from shunt_characteristic_table, which has none for step {step}; \
                 it is left out"
            );
            record.say(Severity::Fatal, problem, &mut self.import);
        }
        power
    }
}
