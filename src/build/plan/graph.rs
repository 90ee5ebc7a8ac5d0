//! Fourth pass: which stages the target needs, in an order in which each comes
//! after what it needs.

use super::arguments::{Global, Local};
use super::evaluate::Evaluation;
use super::settings::Settings;
use super::{Base, Begin, Context, Images, Note, Plan, Request, Source, Stage, Target};
use crate::build::parse::expand::Expander;
use crate::build::parse::instruction::{Instruction, Kind};
use crate::build::parse::place::{Fault, Parsed, Place};
use crate::build::parse::{Dockerfile, lines, read};
use crate::error::Error;
use crate::image::Platform;
use std::collections::BTreeSet;

/// Plans the stage that is asked for and what it needs, for one platform; nothing
/// else is looked at, and no other image is asked for.
pub fn plan(
    file: &Dockerfile,
    request: &Request,
    platform: &Platform,
    images: &mut dyn Images,
) -> Parsed<Plan> {
    let host = Platform::host();
    let target = file.target(&request.target).ok_or_else(|| {
        let names: Vec<&str> = file
            .stages
            .iter()
            .filter_map(|s| s.name.as_deref())
            .collect();
        let error = Error::not_found(format!(
            "target stage \"{}\" could not be found",
            request.target
        ));
        Fault::from(match names.is_empty() {
            true => error,
            false => error.hint(format!("the stages are {}", names.join(", "))),
        })
    })?;
    let mut planner = Planner {
        file,
        request,
        images,
        global: Global::new(&host, platform),
        platform,
        places: vec![Mark::Unseen; file.stages.len()],
        local: Vec::new(),
        left: MOST_VALUES,
        used: BTreeSet::new(),
        plan: Plan::default(),
    };
    planner.global.values.insert(
        "TARGETSTAGE".into(),
        match request.target.is_empty() {
            true => "default".into(),
            false => request.target.clone(),
        },
    );
    planner.globals()?;
    let place = planner.visit(target)?;
    let mut plan = planner.finish();
    let labels = request.labels.clone();
    plan.stages[place].settings.config.labels.extend(labels);
    plan.targets.push(Target {
        place,
        platform: platform.clone(),
    });
    Ok(plan)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    Begun,
    /// At this place of the plan.
    Done(usize),
}

pub struct Planner<'a> {
    pub file: &'a Dockerfile,
    pub request: &'a Request,
    images: &'a mut dyn Images,
    /// The one that is built for.
    platform: &'a Platform,
    pub global: Global,
    places: Vec<Mark>,
    /// Arguments of the planned stages: a stage that begins with one has them.
    local: Vec<Local>,
    /// Bytes that values may still take.
    left: usize,
    /// Names of arguments that somebody has asked for.
    pub used: BTreeSet<String>,
    pub plan: Plan,
}

/// What the values in a plan may take together, in bytes: `ENV a=$a$a` doubles
/// them with each line, and each RUN has all of them.
const MOST_VALUES: usize = 32 << 20;

impl Planner<'_> {
    /// Counts the bytes of values that the plan keeps from here on.
    pub fn spend(&mut self, place: Place, bytes: usize) -> Parsed<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Fault::at(
                place,
                Error::invalid(format!(
                    "the values of this Dockerfile become larger than {} MiB together",
                    MOST_VALUES >> 20
                )),
            )
        })?;
        Ok(())
    }

    fn globals(&mut self) -> Parsed<()> {
        for (name, value) in &self.request.arguments {
            if self.global.values.contains_key(name) {
                self.global.values.insert(name.clone(), value.clone());
                self.used.insert(name.clone());
            }
        }
        for one in &self.file.global {
            let Kind::Arg(arguments) = &one.kind else {
                continue;
            };
            for argument in arguments {
                self.used.insert(argument.name.clone());
                self.global.declared.insert(argument.name.clone());
                let given = self.request.arguments.get(&argument.name).cloned();
                let value = match (given, &argument.default) {
                    (Some(given), _) => Some(given),
                    (None, Some(default)) => Some(self.expand_global(one, default, false)?),
                    (None, None) => None,
                };
                if let Some(value) = value {
                    self.global.values.insert(argument.name.clone(), value);
                }
            }
        }
        Ok(())
    }

    /// With what stands before all stages.
    fn expand_global(&mut self, one: &Instruction, text: &str, in_from: bool) -> Parsed<String> {
        let values = &self.global.values;
        let lookup = |name: &str| values.get(name).cloned();
        let found = Expander::new(&lookup, self.file.directives.escape)
            .word(text)
            .map_err(|e| {
                Fault::at(
                    one.place,
                    Error::invalid(format!("failed to process {text:?}: {e}")),
                )
            })?;
        self.spend(one.place, found.size)?;
        for name in found.unset.into_iter().filter(|_| in_from) {
            let near = near(&name, self.global.values.keys());
            self.plan.notes.push(Note::UnsetInFrom {
                place: one.place,
                name,
                near,
            });
        }
        Ok(found.value)
    }

    /// Plans the stage if that has not been done; its place.
    pub fn visit(&mut self, index: usize) -> Parsed<usize> {
        let head = &self.file.stages[index].head;
        match self.places[index] {
            Mark::Done(place) => return Ok(place),
            Mark::Begun => {
                let name = self.title(index);
                return Err(Fault::at(
                    head.place,
                    Error::invalid(format!("circular dependency detected on stage: {name}")),
                ));
            }
            Mark::Unseen => self.places[index] = Mark::Begun,
        }
        let stage = self.stage(index)?;
        let place = self.plan.stages.len();
        self.plan.stages.push(stage);
        self.places[index] = Mark::Done(place);
        Ok(place)
    }

    fn title(&self, index: usize) -> String {
        let name = self.file.stages[index].name.clone();
        name.unwrap_or_else(|| format!("stage-{index}"))
    }

    fn stage(&mut self, index: usize) -> Parsed<Stage> {
        let file = self.file;
        let written = &file.stages[index];
        let platform = match &written.from.platform {
            None => self.platform.clone(),
            Some(text) => {
                let text = self.expand_global(&written.head, text, true)?;
                Platform::parse(&text).map_err(|e| {
                    Fault::at(
                        written.head.place,
                        e.within(format!("failed to parse platform {text}")),
                    )
                })?
            }
        };
        let name = self.expand_global(&written.head, &written.from.image, true)?;
        if name.trim().is_empty() {
            return Err(Fault::at(
                written.head.place,
                Error::invalid(format!(
                    "base name ({}) should not be blank",
                    written.from.image
                )),
            ));
        }
        let (begin, mut settings, local) = self.begin(index, &name, &platform)?;
        // An image for another platform is one, whatever was asked for.
        let platform = match &begin {
            Begin::Image(base) => base.config.platform.clone(),
            Begin::Stage(place) => self.plan.stages[*place].platform.clone(),
            _ => platform,
        };
        let triggers = std::mem::take(&mut settings.config.on_build);
        let named = self.request.contexts.get(&name);
        let begins_with_files = matches!(named, Some(Context::Files));
        let mut evaluation = Evaluation::new(self, index, settings, local);
        let from_scratch = matches!(begin, Begin::Scratch);
        evaluation.number = usize::from(!from_scratch);
        if begins_with_files {
            evaluation.begin_with(&written.head, &name);
        }
        for trigger in triggers {
            for one in trigger_of(&trigger, written.head.place, file.directives.escape)? {
                evaluation.take(&one)?;
            }
        }
        for one in &written.body {
            evaluation.take(one)?;
        }
        let (settings, steps, local, count) = evaluation.finish();
        self.local.push(local);
        Ok(Stage {
            index,
            title: self.title(index),
            is_alone: file.stages.len() == 1,
            begin,
            platform,
            steps,
            settings,
            count,
            name: written.name.clone(),
            head: written.head.place,
        })
    }

    fn begin(
        &mut self,
        index: usize,
        name: &str,
        platform: &Platform,
    ) -> Parsed<(Begin, Settings, Local)> {
        let place = self.file.stages[index].head.place;
        let mut image = name.to_string();
        match self.request.contexts.get(name) {
            Some(Context::Files) => {
                return Ok((Begin::Scratch, Settings::scratch(), Local::default()));
            }
            Some(Context::Image(other)) => image.clone_from(other),
            None => {
                let lower = name.to_ascii_lowercase();
                let earlier = self.file.stages[..index]
                    .iter()
                    .rposition(|stage| stage.name.as_ref() == Some(&lower));
                if let Some(earlier) = earlier {
                    let place = self.visit(earlier)?;
                    let settings = self.plan.stages[place].settings.clone();
                    return Ok((Begin::Stage(place), settings, self.local[place].clone()));
                }
            }
        }
        if image == "scratch" {
            return Ok((Begin::Scratch, Settings::scratch(), Local::default()));
        }
        let base = self.image(&image, platform, place)?;
        let settings = Settings::of(&base.document, &base.config.diff_ids);
        Ok((Begin::Image(Box::new(base)), settings, Local::default()))
    }

    fn image(&mut self, name: &str, platform: &Platform, place: Place) -> Parsed<Base> {
        self.images
            .image(name, platform)
            .map_err(|e| Fault::at(place, e))
    }

    /// What `--from` names, seen from stage `index`.
    pub fn source(&mut self, index: usize, name: &str, place: Place) -> Parsed<Source> {
        let mut image = name.to_string();
        match self.request.contexts.get(name) {
            Some(Context::Files) => return Ok(Source::Named(name.into())),
            Some(Context::Image(other)) => image.clone_from(other),
            None => {
                let by_number = || {
                    name.parse::<usize>()
                        .ok()
                        .filter(|_| name.bytes().all(|b| b.is_ascii_digit()))
                };
                if let Some(stage) = self.file.stage(name) {
                    return self.visit(stage).map(Source::Stage);
                }
                if let Some(number) = by_number() {
                    if number >= index {
                        return Err(Fault::at(
                            place,
                            Error::invalid(format!(
                                "invalid from flag value {name}: stage {number} does not come before stage {index}"
                            )),
                        ));
                    }
                    return self.visit(number).map(Source::Stage);
                }
            }
        }
        if image == "scratch" {
            return Ok(Source::Scratch);
        }
        if image.contains('$') {
            return Err(Fault::at(
                place,
                Error::invalid(format!(
                    "invalid from flag value {name}: variables are not expanded in it"
                ))
                .hint("a stage of its own with FROM $… AS name can be named"),
            ));
        }
        let base = self.image(&image, self.platform, place)?;
        let known = self
            .plan
            .images
            .iter()
            .position(|i| i.manifest == base.manifest);
        Ok(Source::Image(known.unwrap_or_else(|| {
            self.plan.images.push(base);
            self.plan.images.len() - 1
        })))
    }

    fn finish(mut self) -> Plan {
        let unused = self.request.arguments.keys().filter(|name| {
            !self.used.contains(*name)
                && !super::arguments::PROXIES.contains(&name.as_str())
                && !super::arguments::is_own(name)
        });
        self.plan.unused_arguments = unused.cloned().collect();
        self.plan
    }
}

/// An image's trigger as the instructions that it is.
fn trigger_of(text: &str, place: Place, escape: char) -> Parsed<Vec<Instruction>> {
    let told = |fault: Fault| {
        Fault::at(
            place,
            fault.error.within(format!("ONBUILD trigger {text:?}")),
        )
    };
    let read = lines::read(text.as_bytes()).map_err(told)?;
    read.lines
        .iter()
        .map(|line| {
            let one = read::instruction(line, escape).map_err(told)?;
            match one.kind {
                Kind::From(_) | Kind::OnBuild(_) | Kind::Maintainer(_) => Err(told(
                    line.fault(format!("{} isn't allowed as an ONBUILD trigger", one.name)),
                )),
                _ => Ok(Instruction { place, ..one }),
            }
        })
        .collect()
}

/// The name that was perhaps meant.
pub fn near<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let distance = |other: &&String| strsim::osa_distance(name, other);
    known
        .filter(|other| distance(other) <= name.len().div_ceil(3))
        .min_by_key(distance)
        .cloned()
}
