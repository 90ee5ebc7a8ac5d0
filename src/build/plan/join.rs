//! Fifth pass: the plans for several platforms as one. What is alike in them,
//! such as a compiler's stage on BUILDPLATFORM, is in it once; the rest goes on
//! side by side.

use super::graph::plan;
use super::mount::What;
use super::{Action, Begin, Images, Plan, Request, Source, Stage, Step};
use crate::build::parse::Dockerfile;
use crate::build::parse::place::Parsed;
use crate::image::Platform;

/// Plans for all platforms that are asked for. This machine's is planned first:
/// of an image that is here for none, the name is for that.
pub fn plans(file: &Dockerfile, request: &Request, images: &mut dyn Images) -> Parsed<Plan> {
    let host = Platform::host();
    let mut wanted: Vec<&Platform> = request.platforms.iter().collect();
    wanted.sort_by_key(|platform| !host.runs(platform));
    let mut all = Plan::default();
    for platform in wanted {
        join(&mut all, plan(file, request, platform, images)?);
    }
    let position = |wanted: &Platform| request.platforms.iter().position(|p| p == wanted);
    all.targets.sort_by_key(|target| position(&target.platform));
    Ok(all)
}

fn join(all: &mut Plan, other: Plan) {
    // What one of them has asked for is used.
    let unused = other.unused_arguments;
    match all.targets.is_empty() {
        true => all.unused_arguments = unused,
        false => all.unused_arguments.retain(|name| unused.contains(name)),
    }
    let images: Vec<usize> = other
        .images
        .into_iter()
        .map(|image| place_in(&mut all.images, image))
        .collect();
    let mut stages: Vec<usize> = Vec::new();
    for mut stage in other.stages {
        move_to(&mut stage, &stages, &images);
        stages.push(place_in(&mut all.stages, stage));
    }
    for mut target in other.targets {
        target.place = stages[target.place];
        all.targets.push(target);
    }
    for note in other.notes {
        place_in(&mut all.notes, note);
    }
    all.repositories.extend(other.repositories);
}

/// Where the list has this, at its end if nowhere else.
fn place_in<T: PartialEq>(list: &mut Vec<T>, one: T) -> usize {
    let known = list.iter().position(|other| *other == one);
    known.unwrap_or_else(|| {
        list.push(one);
        list.len() - 1
    })
}

/// Makes its references those of the joined plan.
fn move_to(stage: &mut Stage, stages: &[usize], images: &[usize]) {
    if let Begin::Stage(place) = &mut stage.begin {
        *place = stages[*place];
    }
    for source in stage.steps.iter_mut().flat_map(sources) {
        match source {
            Source::Stage(place) => *place = stages[*place],
            Source::Image(place) => *place = images[*place],
            Source::Context | Source::Named(_) | Source::Scratch => {}
        }
    }
}

fn sources(step: &mut Step) -> Vec<&mut Source> {
    match &mut step.action {
        Action::Copy(copy) => vec![&mut copy.from],
        Action::Run(run) => {
            let mounts = run.mounts.iter_mut();
            let from = mounts.filter_map(|mount| match &mut mount.what {
                What::Bind { from, .. } | What::Cache { from, .. } => Some(from),
                What::Tmpfs { .. } | What::Secret(_) | What::Ssh(_) => None,
            });
            from.collect()
        }
        Action::Settings | Action::Directory { .. } => Vec::new(),
    }
}
