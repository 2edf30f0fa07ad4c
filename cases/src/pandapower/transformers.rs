//! Transformers with two and three windings, and their tap changers.
//!
//! What a tap changer does was a flag and two numbers before format 3.0 and is a type since
//! (`tap_changer_type`); a position without a type does nothing, as in pandapower.

use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Equivalent;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Side;
use grid::network::Tap;
use grid::network::ThreeWinding;
use grid::network::Transformer;
use grid::network::Winding;

use crate::pandapower::Builder;
use crate::pandapower::Record;

impl Builder {
    pub(super) fn add_transformers(&mut self) {
        self.each("trafo", |to, record| {
            let ends = (to.bus(record, "hv_bus"), to.bus(record, "lv_bus"));
            let Some(sheet) = to.name_plate(record) else { return };
            let (Some(from), Some(lv)) = ends else { return };
            let branch = Branch {
                id: format!("T{}", record.index()),
                name: record.name(),
                from,
                to: lv,
                class: BranchClass::Transformer,
                parameters: Parameters::Transformer(Box::new(sheet)),
                in_service: record.in_service(),
            };
            to.add_branch("trafo", record.index(), branch);
        });
    }

    fn name_plate(&mut self, record: Record<'_>) -> Option<Transformer> {
        let columns = ["sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent"];
        let [rated_mva, from_kv, to_kv, vk_percent, vkr_percent] =
            record.needs(columns, &mut self.import)?;
        let mut sheet = Transformer {
            rated_mva,
            from_kv,
            to_kv,
            vk_percent,
            vkr_percent,
            pfe_kw: record.number_or("pfe_kw", 0.0),
            i0_percent: record.number_or("i0_percent", 0.0),
            shift_deg: record.number_or("shift_degree", 0.0),
            taps: Vec::new(),
            parallel: record.number_or("parallel", 1.0) as u32,
            equivalent: self.equivalent(),
        };
        self.say_of_plate(record);
        if record.flag("tap_dependency_table", false) {
            self.take_from_table(record, &mut sheet)?;
        } else {
            sheet.taps.extend(self.tap(record, "tap"));
        }
        sheet.taps.extend(self.tap(record, "tap2"));
        Some(sheet)
    }

    fn equivalent(&self) -> Equivalent {
        if self.options.pi_transformers { Equivalent::Pi } else { Equivalent::T }
    }

    fn say_of_plate(&mut self, record: Record<'_>) {
        let df = record.number_or("df", 1.0);
        if df != 1.0 {
            let problem = format!("has a rating factor df of {df}, which is not kept");
            record.say(Severity::Note, problem, &mut self.import);
        }
        for column in ["leakage_resistance_ratio_hv", "leakage_reactance_ratio_hv"] {
            let share = record.number_or(column, 0.5);
            if share != 0.5 {
                let problem = format!("has a {column} of {share}, which is taken as 0.5");
                record.say(Severity::Warning, problem, &mut self.import);
            }
        }
        if record.flag("tap_dependent_impedance", false) {
            let problem = "has an impedance that depends on the tap by a spline, which is not \
                           read: that of the name plate is taken";
            record.say(Severity::Warning, problem.to_owned(), &mut self.import);
        }
    }

    /// Ratio, shift and impedance of the tap position from `trafo_characteristic_table`.
    ///
    /// The tap changer is in the name plate then and cannot be moved.
    fn take_from_table(&mut self, record: Record<'_>, sheet: &mut Transformer) -> Option<()> {
        let id = record.number("id_characteristic_table");
        let step = record.number("tap_pos");
        let table = self.frames.get("trafo_characteristic_table");
        let found = table
            .into_iter()
            .flat_map(|table| table.records())
            .find(|row| row.number("id_characteristic") == id && row.number("step") == step);
        let Some(row) = found else {
            let problem = "takes its ratio from trafo_characteristic_table, which has no row for \
                           its tap position; it is left out";
            record.say(Severity::Fatal, problem.to_owned(), &mut self.import);
            return None;
        };
        let (ratio, angle) = (row.number_or("voltage_ratio", 1.0), row.number_or("angle_deg", 0.0));
        sheet.vk_percent = row.number_or("vk_percent", sheet.vk_percent);
        sheet.vkr_percent = row.number_or("vkr_percent", sheet.vkr_percent);
        match record.text("tap_side") {
            "hv" => {
                sheet.from_kv *= ratio;
                sheet.shift_deg += angle;
            }
            "lv" => {
                sheet.to_kv *= ratio;
                sheet.shift_deg -= angle;
            }
            _ => {}
        }
        let problem = "has its tap position from a table: it stands in its rated voltages and \
                       cannot be moved";
        record.say(Severity::Note, problem.to_owned(), &mut self.import);
        Some(())
    }

    /// A tap changer by the prefix of its columns; nothing where there is none or it does nothing.
    fn tap(&mut self, record: Record<'_>, prefix: &str) -> Option<Tap> {
        let side = match record.text(&format!("{prefix}_side")) {
            "hv" => Side::From,
            "lv" | "mv" => Side::To,
            _ => return None,
        };
        let number = |column: &str| record.number(&format!("{prefix}_{column}"));
        let position = number("pos")?;
        let neutral = number("neutral").unwrap_or(0.0);
        let percent = number("step_percent").unwrap_or(0.0);
        let degree = number("step_degree").unwrap_or(0.0);
        let ideal_shift = self.shifts_ideally(record, prefix, position != neutral)?;
        let steps = position - neutral;
        let step_deg = match (ideal_shift, degree != 0.0) {
            (true, false) => {
                // By percent, the angle of a step depends on the position: it is taken there.
                let at = if steps == 0.0 { 1.0 } else { steps };
                2.0 * (at * percent / 200.0).asin().to_degrees() / at
            }
            _ => degree,
        };
        if ideal_shift && degree == 0.0 && percent != 0.0 {
            let problem = "shifts by percent: the angle of a step is exact at its position only";
            record.say(Severity::Note, problem.to_owned(), &mut self.import);
        }
        Some(Tap {
            side,
            position,
            neutral,
            lowest: number("min").unwrap_or(position),
            highest: number("max").unwrap_or(position),
            step_percent: if ideal_shift { 0.0 } else { percent },
            step_deg,
            ideal_shift,
        })
    }

    /// Whether a tap changer turns the voltage and leaves its magnitude; nothing where it does
    /// nothing at all, which is said where it has moved.
    fn shifts_ideally(&mut self, record: Record<'_>, prefix: &str, moved: bool) -> Option<bool> {
        let kind = format!("{prefix}_changer_type");
        if !record.has(&kind) {
            // Before 3.0 a flag said it, and every other tap changer was one of the ratio.
            return Some(record.flag(&format!("{prefix}_phase_shifter"), false));
        }
        match record.text(&kind) {
            "Ratio" | "Symmetrical" => Some(false),
            "Ideal" => Some(true),
            other => {
                if moved {
                    let problem = format!(
                        "has its tap away from neutral and {kind} {other:?}: pandapower ignores \
                         such a tap, and so do we"
                    );
                    record.say(Severity::Warning, problem, &mut self.import);
                }
                None
            }
        }
    }

    pub(super) fn add_three_winding(&mut self) {
        self.each("trafo3w", |to, record| {
            let Some(transformer) = to.three_winding_plate(record) else { return };
            to.three_winding.insert(record.index(), to.import.network.three_winding.len());
            to.import.network.three_winding.push(transformer);
        });
    }

    fn three_winding_plate(&mut self, record: Record<'_>) -> Option<ThreeWinding> {
        let sides = ["hv", "mv", "lv"];
        let buses = sides.map(|side| self.bus(record, &format!("{side}_bus")));
        let mut three = |before: &str, after: &str| {
            let columns = sides.map(|side| format!("{before}_{side}_{after}"));
            let columns: [&str; 3] = std::array::from_fn(|k| columns[k].as_str());
            record.needs(columns, &mut self.import)
        };
        let (kv, mva) = (three("vn", "kv"), three("sn", "mva"));
        let (vk, vkr) = (three("vk", "percent"), three("vkr", "percent"));
        let (kv, mva) = (kv?, mva?);
        let losses_at = match record.text("loss_side") {
            "" => self.options.losses_at,
            "hv" => 0,
            "mv" => 1,
            "lv" => 2,
            _ => 3,
        };
        let tap = self.three_winding_tap(record)?;
        let shift_deg = [
            0.0,
            record.number_or("shift_mv_degree", 0.0),
            record.number_or("shift_lv_degree", 0.0),
        ];
        let [hv, mv, lv] = buses;
        let buses = [hv?, mv?, lv?];
        // pandapower relates the no-load current to the winding that carries it.
        let carrier_mva = mva[losses_at % 3];
        Some(ThreeWinding {
            id: format!("TW{}", record.index()),
            name: record.name(),
            windings: std::array::from_fn(|k| Winding {
                bus: buses[k],
                rated_kv: kv[k],
                rated_mva: mva[k],
                shift_deg: shift_deg[k],
            }),
            vk_percent: vk?,
            vkr_percent: vkr?,
            pfe_kw: record.number_or("pfe_kw", 0.0),
            i0_percent: record.number_or("i0_percent", 0.0) * carrier_mva / mva[0],
            tap,
            losses_at,
            equivalent: self.equivalent(),
            in_service: record.in_service(),
        })
    }

    /// The tap changer; nothing in nothing where it cannot be expressed.
    #[expect(clippy::option_option, reason = "left out, and without a tap changer, are two things")]
    fn three_winding_tap(&mut self, record: Record<'_>) -> Option<Option<(usize, Tap)>> {
        let winding = match record.text("tap_side") {
            "hv" => 0,
            "mv" => 1,
            "lv" => 2,
            _ => return Some(None),
        };
        let tap = self.tap(record, "tap");
        let moved = tap.is_some_and(|tap| tap.position != tap.neutral);
        let from_table = record.flag("tap_dependency_table", false);
        if from_table || (record.flag("tap_at_star_point", false) && moved) {
            let what = if from_table { "from a table" } else { "at its star point" };
            let problem = format!("has its tap {what}, which is not modelled; it is left out");
            record.say(Severity::Fatal, problem, &mut self.import);
            return None;
        }
        Some(tap.map(|tap| (winding, tap)))
    }
}
