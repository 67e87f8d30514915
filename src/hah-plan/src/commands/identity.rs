//! Who and where: id(1), whoami(1), groups(1), logname(1), uname(1), arch(1), hostname(1), nproc(1).

use hah_format::path::TreePath;

use super::accounts;
use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("id", id),
    Command::always("whoami", |process, _| {
        process.print_line("root");
        Ok(0)
    }),
    Command::always("groups", groups),
    Command::always("logname", |process, _| {
        process.complain("no login name");
        Ok(1)
    }),
    Command::always("uname", uname),
    Command::always("arch", |process, _| {
        let machine = process.world.machine.clone();
        process.print_line(machine);
        Ok(0)
    }),
    Command::always("hostname", hostname),
    Command::always("dnsdomainname", dns_domain),
    Command::always("domainname", nis_domain),
    Command::always("nisdomainname", nis_domain),
    Command::always("ypdomainname", nis_domain),
    Command::always("nproc", nproc),
];

/// id(1): `-u -g -G -n -r -z`, of root or of a user of the tree.
fn id(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "u,user g,group G,groups n,name r,real z,zero a", Order::Any)?;
    let (users, all) = (accounts::users(process.world)?, accounts::groups(process.world)?);
    let mut status = 0;
    let root = ["root".to_owned()];
    let names = if options.operands.is_empty() { &root } else { options.operands.as_slice() };
    for name in names {
        let user = users.iter().find(|user| user.name == *name || name.parse() == Ok(user.id));
        let Some(user) = user else {
            let name = process.quote(name);
            process.complain(format_args!("{name}: no such user"));
            status = 1;
            continue;
        };
        let primary: u32 = user.rest.first().and_then(|field| field.parse().ok()).unwrap_or(0);
        let group_name = |id: u32| all.iter().find(|group| group.id == id).map(|group| group.name.clone());
        let mut ids = vec![primary];
        for group in &all {
            let members = group.rest.first().map(String::as_str).unwrap_or_default();
            if members.split(',').any(|member| member == user.name) && !ids.contains(&group.id) {
                ids.push(group.id);
            }
        }
        let shown = |id: u32| match options.has("n") {
            true => group_name(id).unwrap_or_else(|| id.to_string()),
            false => id.to_string(),
        };
        let text = if options.has("u") {
            if options.has("n") { user.name.clone() } else { user.id.to_string() }
        } else if options.has("g") {
            shown(primary)
        } else if options.has("G") {
            ids.iter().map(|id| shown(*id)).collect::<Vec<_>>().join(" ")
        } else if options.has("n") || options.has("r") {
            process.complain("cannot print only names or real IDs in default format");
            return Ok(1);
        } else {
            let with_name = |id: u32| match group_name(id) {
                Some(name) => format!("{id}({name})"),
                None => id.to_string(),
            };
            let list: Vec<String> = ids.iter().map(|id| with_name(*id)).collect();
            format!("uid={}({}) gid={} groups={}", user.id, user.name, with_name(primary), list.join(","))
        };
        process.print(text);
        process.print(if options.has("z") { "\0" } else { "\n" });
    }
    Ok(status)
}

/// groups(1), of root or of users of the tree.
fn groups(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut status = 0;
    let named = !args.is_empty();
    let root = ["root".to_owned()];
    for name in if named { args } else { &root } {
        if named && accounts::accounts_know_user(process.world, name)? {
            process.print(format!("{name} : "));
        }
        status |= id(process, &["-Gn".to_owned(), name.clone()])?;
    }
    Ok(status)
}

/// uname(1): `-s -m -n -o -p -i`, and `-r` where the tree has the modules of exactly one kernel, which is then the one
/// that nodes boot; `-v` and `-a` are refused.
fn uname(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "s,kernel-name r,kernel-release m,machine n,nodename o,operating-system p,processor i,hardware-platform";
    let options = process.options(args, spec, Order::Any)?;
    let machine = process.world.machine.clone();
    let kernels = process.world.list(&TreePath::root(), "/usr/lib/modules").unwrap_or_default();
    let release = match kernels.as_slice() {
        [release] => release.as_str(),
        _ if options.has("r") => return process.unknown("-r in an image without exactly one kernel"),
        _ => "",
    };
    let parts = [
        ("s", "Linux"),
        ("n", "localhost"),
        ("r", release),
        ("m", machine.as_str()),
        ("p", "unknown"),
        ("i", "unknown"),
        ("o", "GNU/Linux"),
    ];
    let given = !options.given.is_empty();
    let shown: Vec<&str> = parts
        .iter()
        .filter(|(name, _)| if given { options.has(name) } else { *name == "s" })
        .map(|(_, text)| *text)
        .collect();
    process.print_line(shown.join(" "));
    Ok(0)
}

/// hostname(1): an image has no name of its own, so that it is `localhost`; setting one is refused.
fn hostname(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options =
        process.options(args, "s,short f,fqdn ,long d,domain A,all-fqdns i,ip-address y,yp ,nis", Order::Any)?;
    if let Some(name) = options.operands.first() {
        return process.unknown(name);
    }
    match () {
        // A name without a dot has no domain.
        () if options.has("d") => {}
        () if options.has("i") => process.print_line("127.0.0.1"),
        () if options.has("y") || options.has("nis") => return nis_domain(process, &[]),
        () => process.print_line("localhost"),
    }
    Ok(0)
}

/// dnsdomainname(1) is `hostname -d`.
fn dns_domain(_: &mut Process<'_, '_>, _: &[String]) -> Result<u8, Refusal> {
    Ok(0)
}

/// domainname(1): no domain of NIS is set.
fn nis_domain(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    match args {
        [] => process.print_line("(none)"),
        [word, ..] => return process.unknown(word),
    }
    Ok(0)
}

/// nproc(1): how many processors a node has is not known at build time; scripts ask for jobs, and here is one.
fn nproc(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    process.options(args, ",all ,ignore=", Order::Any)?;
    process.print_line("1");
    Ok(0)
}
