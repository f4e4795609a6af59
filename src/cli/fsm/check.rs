//! `postman fsm check`: what is wrong with a definition.

use clap::Args;

use super::{End, File, definition, print};

#[derive(Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    file: File,
}

pub(super) fn check(options: &Check) -> Result<(), End> {
    let (definition, served) = definition(&options.file)?;
    let rules = if served { "as one for this server" } else { "as another program's" };
    let mut text = format!(
        "fine, checked {rules}: {} states, {} events, {} transitions\n",
        definition.states.len(),
        definition.events.len(),
        definition.cells.iter().flatten().count()
    );
    for property in &definition.properties {
        let kind = if property.accepts.is_none() { "never" } else { "always" };
        text += &format!("proven, {kind:<6}  {}\n", property.says.escape_debug());
    }
    print(&text)
}
