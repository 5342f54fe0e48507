package dev.weir.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Option;

/** Options of commands that compare schedulers. */
final class SchedulerArguments {
  @Option(
      names = "--scheduler",
      split = ",",
      paramLabel = "NAME,...",
      hideParamSyntax = true,
      defaultValue = "fcfs,weir",
      description =
          "Schedulers to compare, separated by commas; see 'weir info' (default:"
              + " ${DEFAULT-VALUE}).")
  private List<String> names;

  @Option(
      names = "--scheduler-option",
      paramLabel = "NAME=VALUE",
      description =
          "Setting of the scheduler; can be given several times. With several schedulers,"
              + " NAME.SETTING=VALUE sets something for one of them.")
  private Map<String, String> options = new LinkedHashMap<>();

  /** Refuses schedulers that do not exist, and settings for others than those. */
  void check(OptionCheck check) {
    names.forEach(check::scheduler);
    if (Set.copyOf(names).size() < names.size()) {
      throw check.refused("--scheduler names one twice: " + names);
    }
    for (String option : options.keySet()) {
      int dot = option.indexOf('.');
      if (dot >= 0 && !names.contains(option.substring(0, dot))) {
        throw check.refused(
            "--scheduler-option "
                + option
                + ": '"
                + option.substring(0, dot)
                + "' is none of the schedulers to compare, "
                + names);
      }
    }
  }

  /** In the order in which they were named. */
  List<String> names() {
    return names;
  }

  /** What was set for a scheduler, or for all of them if it is one of them. */
  Map<String, String> settings(String scheduler) {
    Map<String, String> settings = new LinkedHashMap<>();
    options.forEach(
        (option, value) -> {
          int dot = option.indexOf('.');
          if (dot < 0 && names.contains(scheduler)) {
            settings.put(option, value);
          } else if (option.substring(0, Math.max(0, dot)).equals(scheduler)) {
            settings.put(option.substring(dot + 1), value);
          }
        });
    return settings;
  }
}
