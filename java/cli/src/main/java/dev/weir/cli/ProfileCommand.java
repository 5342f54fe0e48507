package dev.weir.cli;

import dev.weir.cli.profile.DeviceBatches;
import dev.weir.cli.profile.ProfileReport;
import dev.weir.cli.profile.Profiler;
import dev.weir.cli.report.ExperimentPage;
import dev.weir.cli.report.ExperimentText;
import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.engine.EngineOptions;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.KvCacheStatistics;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.simulation.MeasuredIterationTime;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.measured.BatchDesign;
import dev.weir.simulation.measured.BatchSample;
import dev.weir.simulation.measured.IterationTimeFit;
import dev.weir.simulation.measured.Measurement;
import dev.weir.simulation.measured.MeasurementFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weir profile}: measures how long an iteration takes on a device. */
@Command(
    name = "profile",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Measures how long an iteration takes on this device, for 'simulate' and 'plan'.",
    description = {
      "",
      "Runs batches of the model, which decode, prefill or do both, with many sizes and contexts;"
          + " fits the model of an iteration's time to them, and tells how far it is off, also on"
          + " batches that it did not see. The file that it writes is read with --iteration-time"
          + " measured:FILE. Measured is the step, from filling it to reading its tokens; what the"
          + " engine's scheduler and streams take comes on top. Nothing else should run on the"
          + " device meanwhile. No requests are served: --preemption and --swap-blocks do nothing"
          + " here.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir profile --model models/stories260K --out cpu.json --html cpu.html",
      "  weir simulate --iteration-time measured:cpu.json --blocks 512 --requests 2000 \\",
      "      --prompt-tokens uniform:8-64 --output-tokens uniform:16-128 --arrivals poisson:50",
      "  weir profile --model models/llama-2-7b --random-weights --device cuda --out h200.json",
      "  weir profile --from h200.json --html h200.html"
    })
final class ProfileCommand implements Callable<Integer> {
  private static final String DEFAULT_OUT = "measured.json";
  private static final int FACTOR = 2;
  private static final int QUICK_FACTOR = 4;
  private static final int HELD_OUT = 16;
  private static final int QUICK_HELD_OUT = 6;
  private static final int WARM_UPS = 2;
  private static final int ROUNDS = 5;
  private static final int QUICK_ROUNDS = 3;
  private static final int REPETITIONS = 3;
  private static final double GPU_MEMORY_SHARE = 0.8;
  private static final double CPU_MEMORY_SHARE = 0.25;
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  /** Longer contexts cost much time to fill, and tell nothing new about a cost that is linear. */
  private static final int DEFAULT_LONGEST_CONTEXT = 8192;

  @Spec private CommandSpec spec;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Source source;

  private static final class Source {
    @Option(
        names = {"-m", "--model"},
        paramLabel = "DIR",
        required = true,
        description = "Folder with config.json and *.safetensors.")
    private Path model;

    @Option(
        names = "--from",
        paramLabel = "FILE",
        required = true,
        description =
            "Measure nothing, but fit and show again what this file says was measured, perhaps"
                + " elsewhere.")
    private Path measured;
  }

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      description =
          "Where to write the coefficients and all samples (default: "
              + DEFAULT_OUT
              + "; with --from nowhere).")
  private Path out;

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description = "Write a page with charts of what was measured and what was fitted.")
  private Path html;

  @Option(
      names = "--max-context",
      paramLabel = "N",
      description =
          "Longest context to measure, in tokens (default: the model's, but at most "
              + DEFAULT_LONGEST_CONTEXT
              + ").")
  private Integer maxContext;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description =
          "Times that all batches are gone through, each time with "
              + REPETITIONS
              + " runs of a batch, or one if it takes long; the median of all counts (default: "
              + ROUNDS
              + ", or "
              + QUICK_ROUNDS
              + " with --quick).")
  private Integer rounds;

  @Option(
      names = "--quick",
      description =
          "Sizes four times apart instead of two, fewer rounds and fewer batches held out.")
  private boolean quick;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      defaultValue = "1",
      description = "Seed of the batches that are held out (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Mixin private EngineArguments engineArguments;

  @Option(names = "--no-progress", description = "Show no progress.")
  private boolean noProgress;

  @Override
  public Integer call() throws CliException {
    OptionCheck check = new OptionCheck(spec.commandLine());
    if (rounds != null) {
      check.within("--rounds", rounds, 1, 1000);
    }
    if (maxContext != null) {
      check.atLeast("--max-context", maxContext, 2);
    }
    engineArguments.check(check);
    if (out == null && source.measured == null) {
      out = Path.of(DEFAULT_OUT);
    }
    checkFiles(check);
    if (source.measured != null) {
      showAgain();
      return 0;
    }
    EngineOptions options = engineArguments.builder(source.model).build();
    try (Device device = Device.open(options.deviceOptions());
        Model loaded = load(device, options)) {
      Measurement measurement = measure(options, loaded);
      IterationTimeFit fit =
          IterationTimeFit.of(
              DeviceText.of(device.info()),
              absolute(source.model).getFileName().toString(),
              measurement.samples());
      report(fit, measurement);
    }
    return 0;
  }

  private void checkFiles(OptionCheck check) throws CliException {
    if (out != null && html != null && absolute(out).equals(absolute(html))) {
      throw check.refused("--out and --html are the same file, " + out);
    }
    if (out != null) {
      OutputFile.check(out);
    }
    if (html != null) {
      OutputFile.check(html);
    }
  }

  private static Path absolute(Path path) {
    return path.toAbsolutePath().normalize();
  }

  private void showAgain() throws CliException {
    try {
      MeasuredIterationTime before = MeasuredIterationTime.read(source.measured);
      Measurement measurement = MeasurementFile.read(source.measured);
      report(
          IterationTimeFit.of(before.device(), before.model(), measurement.samples()), measurement);
    } catch (IOException e) {
      throw new CliException(e.getMessage(), e);
    }
  }

  private Model load(Device device, EngineOptions options) {
    return EngineStart.watch(
        progress -> Model.load(device, source.model, options.modelOptions(), progress),
        !noProgress);
  }

  private Measurement measure(EngineOptions options, Model loaded) {
    ModelInfo shape = loaded.info();
    int longest =
        maxContext == null
            ? Math.min(shape.contextLength(), DEFAULT_LONGEST_CONTEXT)
            : Math.min(maxContext, shape.contextLength());
    try (KvCache cache = KvCache.create(loaded, pool(options, loaded, longest))) {
      KvCacheStatistics pool = cache.statistics();
      // One sequence of the longest context is copied from, so another one must fit beside it.
      longest = (int) Math.min(longest, pool.capacity() / 2 * pool.blockSize());
      if (longest < 2) {
        throw new ParameterException(
            spec.commandLine(),
            "the KV pool has "
                + pool.capacity()
                + " blocks, too few for two sequences (--kv-blocks, --kv-bytes)");
      }
      BatchDesign design =
          BatchDesign.of(
              new BatchDesign.Limits(
                  options.maxSequences(),
                  options.maxBatchTokens(),
                  longest,
                  pool.capacity() - Math.ceilDiv(longest, pool.blockSize()),
                  pool.blockSize(),
                  quick ? QUICK_FACTOR : FACTOR),
              quick ? QUICK_HELD_OUT : HELD_OUT,
              seed);
      int wanted = rounds != null ? rounds : quick ? QUICK_ROUNDS : ROUNDS;
      Profiler profiler = new Profiler(wanted, WARM_UPS, REPETITIONS, PATIENCE.toNanos());
      Profiler.Result result;
      int batches = design.fitted().size() + design.heldOut().size();
      try (ProgressDisplay display =
              noProgress
                  ? ProgressDisplay.none()
                  : ProgressDisplay.start("profile", (long) wanted * batches, "batches");
          DeviceBatches runner =
              DeviceBatches.create(
                  cache, options.maxSequences(), options.maxBatchTokens(), longest)) {
        result = profiler.measure(design, runner, _ -> display.add(1));
      }
      return new Measurement(
          VersionProvider.version(),
          Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
          facts(loaded.device().info()),
          facts(shape, options),
          settings(options, pool, longest, wanted),
          result.drift(),
          result.samples());
    }
  }

  /**
   * As large as the largest batch needs, as far as the free memory goes: a GPU's but for what a
   * step takes, of a CPU's, which others use as well, a quarter.
   */
  private static KvCacheOptions pool(EngineOptions options, Model loaded, int longest) {
    KvCacheOptions size;
    if (options.kvBlocks().isPresent()) {
      size = KvCacheOptions.ofBlocks(options.kvBlocks().getAsLong());
    } else if (options.kvBytes().isPresent()) {
      size = KvCacheOptions.ofBytes(options.kvBytes().getAsLong());
    } else {
      long blocks = (options.maxSequences() + 1L) * Math.ceilDiv(longest, options.blockSize());
      double wanted = (double) blocks * options.blockSize() * loaded.info().kvBytesPerToken();
      DeviceInfo device = loaded.device().info();
      double share = device.kind() == DeviceKind.CUDA ? GPU_MEMORY_SHARE : CPU_MEMORY_SHARE;
      double affordable = share * device.memoryAvailable();
      size = KvCacheOptions.ofBytes((long) Math.min(wanted, affordable));
    }
    return size.withBlockSize(options.blockSize())
        .withSwapBlocks(Math.ceilDiv(longest, options.blockSize()))
        .withKvPrecision(options.kvPrecision());
  }

  private static Map<String, Object> facts(DeviceInfo device) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("kind", DeviceName.of(device.kind()));
    facts.put("name", device.name());
    facts.put("precision", PrecisionName.of(device.precision()));
    facts.put("threads", device.threads());
    facts.put("matmul", device.matmul());
    return facts;
  }

  private Map<String, Object> facts(ModelInfo shape, EngineOptions options) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("folder", source.model.toString());
    facts.put("randomWeights", options.randomWeights());
    facts.put("parameters", shape.parameters());
    facts.put("layers", shape.layers());
    facts.put("hiddenSize", shape.hiddenSize());
    facts.put("intermediateSize", shape.intermediateSize());
    facts.put("heads", shape.heads());
    facts.put("kvHeads", shape.kvHeads());
    facts.put("headSize", shape.headSize());
    facts.put("vocabularySize", shape.vocabularySize());
    facts.put("kvBytesPerToken", shape.kvBytesPerToken());
    return facts;
  }

  private Map<String, Object> settings(
      EngineOptions options, KvCacheStatistics pool, int longest, int wanted) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("kvPrecision", PrecisionName.of(options.kvPrecision()));
    facts.put("graphs", options.graphs());
    facts.put("kvBlocks", pool.capacity());
    facts.put("blockSize", pool.blockSize());
    facts.put("maxSequences", options.maxSequences());
    facts.put("maxBatchTokens", options.maxBatchTokens());
    facts.put("longestContext", longest);
    facts.put("rounds", wanted);
    facts.put("warmUps", WARM_UPS);
    facts.put("repetitions", REPETITIONS);
    facts.put("seed", seed);
    return facts;
  }

  private void report(IterationTimeFit fit, Measurement measurement) throws CliException {
    ExperimentResult result = ProfileReport.of(fit, measurement);
    PrintWriter writer = spec.commandLine().getOut();
    writer.println(ExperimentText.render(result));
    if (out != null) {
      try {
        MeasurementFile.write(out, fit, measurement);
      } catch (IOException e) {
        throw new CliException("cannot write " + out + ": " + e, e);
      }
      writer.println("measured: " + out);
    }
    if (html != null) {
      long heldOut = measurement.samples().stream().filter(BatchSample::heldOut).count();
      HtmlFile.write(
          html,
          ExperimentPage.render(
              List.of(result),
              Format.count(measurement.samples().size())
                  + " batches were measured, "
                  + heldOut
                  + " of them to judge the fit by.",
              List.of(
                  new Fact("device", fit.time().device()), new Fact("model", fit.time().model()))));
      writer.println("page: " + html);
    }
  }
}
