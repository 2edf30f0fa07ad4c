//! Golden texts that fit on a page: what importers say, folded.

use cases::Remark;

/// Columns of a folded line.
const WIDTH: usize = 84;

/// A text with its lines broken between words; what goes on is set in.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        for word in line.split(' ') {
            let width = word.chars().count();
            if column > 0 && column + 1 + width > WIDTH {
                out.push_str("\n    ");
                column = 4;
            } else if column > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += width;
        }
        out.push('\n');
    }
    out
}

/// Remarks with their severities, folded.
pub(crate) fn remarks(remarks: &[Remark]) -> String {
    let line = |remark: &Remark| format!("{:?}: {remark}\n", remark.severity);
    folded(&remarks.iter().map(line).collect::<String>())
}
