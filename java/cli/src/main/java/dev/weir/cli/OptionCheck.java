package dev.weir.cli;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/**
 * Refuses values of options before anything is loaded. Every message names the option, the value
 * and the limit.
 *
 * @param command whose options they are
 */
record OptionCheck(CommandLine command) {
  /** Settings of the engine whose option is not simply the same words with hyphens. */
  private static final Map<String, String> OTHER_NAMES =
      Map.of("layerLimit", "--layers", "topLogProbabilities", "--logprobs");

  private static final Pattern SETTING =
      Pattern.compile(
          "\\b(maxTokens|topK|topP|repetitionPenalty|topLogProbabilities|kvBlocks|kvBytes"
              + "|kvRest|kvPrecision|reserveMemory|stepTimeout|blockSize|swapBlocks|maxSequences|maxBatchTokens"
              + "|layerLimit)\\b");
  private static final Pattern NATIVE_OPTION =
      Pattern.compile("\\bweir_(device|cache|step|model)_options\\.(\\w+)");

  /** Those whose option is not simply the same word with hyphens. */
  private static final Map<String, String> NATIVE_NAMES =
      Map.of(
          "cache.blocks", "--kv-blocks",
          "cache.bytes", "--kv-bytes",
          "step.max_entries", "--max-sequences",
          "step.max_tokens", "--max-batch-tokens",
          "step.max_top_logprobs", "--logprobs",
          "model.layer_limit", "--layers");

  private static final Pattern PRECISION = Pattern.compile("\\bWEIR_PRECISION_(\\w+)");
  private static final Pattern UPPER = Pattern.compile("[A-Z]");

  /**
   * Puts the option's name where a message of the engine or of the native layer names the setting
   * behind it.
   */
  static String namingOptions(String message) {
    String named = SETTING.matcher(message).replaceAll(found -> option(found.group()));
    named = NATIVE_OPTION.matcher(named).replaceAll(OptionCheck::optionOfNative);
    return PRECISION.matcher(named).replaceAll(found -> found.group(1).toLowerCase(Locale.ROOT));
  }

  private static String option(String setting) {
    String other = OTHER_NAMES.get(setting);
    return other != null
        ? other
        : "--" + UPPER.matcher(setting).replaceAll(OptionCheck::hyphenated);
  }

  private static String optionOfNative(MatchResult field) {
    String other = NATIVE_NAMES.get(field.group(1) + "." + field.group(2));
    return other != null ? other : "--" + field.group(2).replace('_', '-');
  }

  private static String hyphenated(MatchResult upper) {
    return "-" + Character.toLowerCase(upper.group().charAt(0));
  }

  void atLeast(String option, long value, long limit) {
    if (value < limit) {
      throw refused(option + " is " + value + ", must be at least " + limit);
    }
  }

  void within(String option, long value, long min, long max) {
    if (value < min || value > max) {
      throw refused(option + " is " + value + ", must be in " + min + ".." + max);
    }
  }

  void positive(String option, double value) {
    if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
      throw refused(option + " is " + value + ", must be finite and greater than 0");
    }
  }

  void share(String option, double value) {
    if (!(value > 0 && value <= 1)) {
      throw refused(option + " is " + value + ", must be greater than 0 and at most 1");
    }
  }

  void notNegative(String option, double value) {
    if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
      throw refused(option + " is " + value + ", must be finite and at least 0");
    }
  }

  void scheduler(String name) {
    List<String> known = Schedulers.all().stream().map(SchedulerFactory::name).toList();
    if (!known.contains(name)) {
      throw refused("--scheduler: no scheduler is named '" + name + "'; there are " + known);
    }
  }

  /** Wrong usage of the command. */
  ParameterException refused(String message) {
    return new ParameterException(command, message);
  }
}
