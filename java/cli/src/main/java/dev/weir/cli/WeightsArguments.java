package dev.weir.cli;

import dev.weir.runtime.ModelOptions;
import picocli.CommandLine.Option;

/** Options that say where the weights come from. */
final class WeightsArguments {
  @Option(
      names = "--random-weights",
      description =
          "Draw the weights at random instead of reading them; DIR needs a config.json only.")
  private boolean randomWeights;

  @Option(
      names = "--layers",
      paramLabel = "N",
      description = "Keep the first N layers only, to fit a big model into little memory.")
  private int layerLimit;

  boolean randomWeights() {
    return randomWeights;
  }

  int layerLimit() {
    return layerLimit;
  }

  ModelOptions modelOptions() {
    return new ModelOptions(randomWeights, 0, layerLimit);
  }
}
