use super::*;

#[test]
fn every_script_of_the_closure_is_understood_or_reviewed() {
    let Some((packages, _)) = closure::packages(&[]) else { return };
    if let Err(errors) = effects(&packages, &closure::table()) {
        for error in &errors {
            println!("{} {} {} line {}: {}", error.package, error.kind, error.sha256, error.line, error.what);
        }
        panic!("{} scripts are not reviewed", errors.len());
    }
}
