package dev.weir.cli;

import dev.weir.cli.plan.KnownDevice;
import dev.weir.cli.plan.MemoryBudget;
import dev.weir.cli.plan.ModelCard;
import dev.weir.cli.plan.NumberFormat;
import dev.weir.cli.plan.RooflineIterationTime;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.BoundarySelection;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.capacity.StableRegion;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weir plan}: model, device and workload in; stable region and thresholds out. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Plans capacity: which load a model on a device serves, and with which thresholds.",
    description = {
      "",
      "Computes, without a device and without weights, how many tokens of KV memory there are,"
          + " which arrival rates of the workload are stable in the fluid model, and the"
          + " thresholds, boundaries and safety buffer of Nested WAIT. 'weir simulate' then serves"
          + " the workload in virtual time.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir plan --rate 5",
      "  weir plan --device a100-40gb --workload T.csv --delta 0.01 --html plan.html",
      "  weir plan --device h200 --prompt-tokens fixed:512 --output-tokens exponential:300 --rate 30"
    })
final class PlanCommand implements Callable<Integer> {
  private static final String PROFILE = "profile";
  private static final String ROOFLINE = "roofline";

  @Spec private CommandSpec spec;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR|NAME",
      defaultValue = "llama-2-7b",
      description =
          "Folder with a config.json, or llama-2-7b or stories260K (default: ${DEFAULT-VALUE}).")
  private String model;

  @Option(
      names = "--device",
      paramLabel = "NAME",
      defaultValue = "a100-80gb",
      converter = KnownDeviceName.class,
      description = "a100-40gb, a100-80gb, h100-80gb or h200 (default: ${DEFAULT-VALUE}).")
  private KnownDevice device;

  @ArgGroup(exclusive = true)
  private Capacity capacity = new Capacity();

  private static final class Capacity {
    @Option(
        names = "--memory",
        paramLabel = "BYTES",
        converter = ByteCount.class,
        description = "Memory of the device, for example 24GiB (default: as the device has).")
    private Long memory;

    @Option(
        names = "--blocks",
        paramLabel = "N",
        description = "Blocks of the KV pool, whatever the memory is.")
    private Long blocks;
  }

  @Option(
      names = "--memory-utilization",
      paramLabel = "SHARE",
      defaultValue = "0.9",
      description = "Share of the memory that is used at all (default: ${DEFAULT-VALUE}, as vLLM).")
  private double utilization;

  @Option(
      names = "--activation-reserve",
      paramLabel = "BYTES",
      converter = ByteCount.class,
      description =
          "Memory for intermediate results (default: what a step of --max-batch-tokens and"
              + " --max-sequences takes).")
  private Long activationReserve;

  @Option(
      names = "--dtype",
      paramLabel = "FORMAT",
      defaultValue = "fp16",
      description = "Of the weights: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private NumberFormat weightFormat;

  @Option(
      names = "--kv-dtype",
      paramLabel = "FORMAT",
      description = "Of keys and values (default: as the weights).")
  private NumberFormat kvFormat;

  @Option(
      names = "--block-size",
      paramLabel = "N",
      defaultValue = "16",
      description = "Tokens of a KV block (default: ${DEFAULT-VALUE}).")
  private int blockSize;

  @Mixin private BatchArguments batch;

  @Option(
      names = "--iteration-time",
      paramLabel = "MODEL",
      description =
          "How long an iteration takes: "
              + IterationTimes.SYNTAX
              + ", or roofline, an estimate from the device's data sheet (default: profile for"
              + " llama-2-7b on a100-80gb, otherwise roofline).")
  private String iterationTime;

  @Option(
      names = "--roofline-share",
      paramLabel = "SHARE",
      defaultValue = "0.7",
      description =
          "Share of peak bandwidth and peak matrix rate that the roofline reckons with (default:"
              + " ${DEFAULT-VALUE}; published engines reach 0.62 to 0.78).")
  private double rooflineShare;

  @Mixin private WorkloadArguments workload;

  @Option(
      names = "--rate",
      paramLabel = "R",
      description =
          "Requests a second to plan for (default: those of the workload, unless all come at"
              + " once).")
  private Double rate;

  @Option(
      names = "--delta",
      paramLabel = "P",
      defaultValue = "0.05",
      description =
          "Probability of an overflow within the horizon that is accepted (default:"
              + " ${DEFAULT-VALUE}).")
  private double delta;

  @Option(
      names = "--horizon",
      paramLabel = "N",
      defaultValue = "10000",
      description = "Iterations that --delta is about (default: ${DEFAULT-VALUE}).")
  private int horizon;

  @Option(
      names = "--segments",
      paramLabel = "N",
      defaultValue = "3",
      description = "Segments of Nested WAIT (default: ${DEFAULT-VALUE}).")
  private int segments;

  @Option(
      names = "--boundaries",
      paramLabel = "RULE|B1,B2,...",
      defaultValue = "halving",
      description =
          "Boundaries of the segments: halving (a request is as likely to end as to go on at"
              + " each), equal (quantiles), least-memory, or output tokens (default:"
              + " ${DEFAULT-VALUE}).")
  private String boundaries;

  @Option(names = "--json", description = "Print one JSON object instead of the text.")
  private boolean json;

  @Option(names = "--html", paramLabel = "FILE", description = "Write a page with charts.")
  private Path html;

  @Override
  public Integer call() throws CliException {
    OptionCheck check = new OptionCheck(spec.commandLine());
    checkArguments(check);
    try {
      PlanSummary summary = plan(check);
      PrintWriter out = spec.commandLine().getOut();
      out.println(json ? Json.line(summary.json()) : summary.text());
      if (html != null) {
        HtmlFile.write(html, summary.report().html());
        if (!json) {
          out.println("page: " + html);
        }
      }
      return 0;
    } catch (TraceException e) {
      throw new CliException(e.getMessage(), e);
    } catch (UncheckedIOException | IOException e) {
      throw new CliException(e.getMessage() == null ? e.toString() : e.getMessage(), e);
    }
  }

  private void checkArguments(OptionCheck check) {
    if (capacity.blocks != null) {
      check.within("--blocks", capacity.blocks, 1, Long.MAX_VALUE / Math.max(1, blockSize));
    }
    if (capacity.memory != null) {
      check.atLeast("--memory", capacity.memory, 1);
    }
    check.share("--memory-utilization", utilization);
    check.share("--roofline-share", rooflineShare);
    check.atLeast("--block-size", blockSize, 1);
    batch.check(check);
    if (rate != null) {
      check.positive("--rate", rate);
    }
    if (!(delta > 0 && delta < 0.5)) {
      throw check.refused("--delta is " + delta + ", must be greater than 0 and less than 0.5");
    }
    check.atLeast("--horizon", horizon, 1);
    check.atLeast("--segments", segments, 1);
    workload.check(check);
  }

  private PlanSummary plan(OptionCheck check) throws IOException, TraceException, CliException {
    ModelCard card = ModelCard.read(model);
    NumberFormat kv = kvFormat == null ? weightFormat : kvFormat;
    Optional<MemoryBudget> budget =
        capacity.blocks == null ? Optional.of(budget(card, kv)) : Optional.empty();
    KvCapacity pool =
        budget
            .map(b -> b.pool(blockSize))
            .orElseGet(() -> new KvCapacity(capacity.blocks, blockSize, 0));
    WorkloadFacts all = workload.survey(spec.commandLine().getErr());
    PlannedLoad load = PlannedLoad.of(all, Math.min(card.contextLength(), pool.tokens()));
    if (load.promptTokens().length == 0) {
      throw check.refused(
          "no request of the workload fits into "
              + load.longest()
              + " tokens, the smaller of the model's context, "
              + card.contextLength()
              + ", and the KV pool, "
              + pool.tokens()
              + " (--memory, --blocks)");
    }
    OptionalDouble asked =
        rate != null
            ? OptionalDouble.of(rate)
            : Double.isFinite(load.rate())
                ? OptionalDouble.of(load.rate())
                : OptionalDouble.empty();
    BatchLimits limits = batch.limits();
    String timeName = iterationTime == null ? defaultTime(card) : iterationTime;
    IterationTime time = time(timeName, card, kv);
    StableRegion region = StableRegion.of(time, load.lengths(), pool, limits);
    Workload planned = load.workload(asked.orElseGet(region::sustainableRate));
    return new PlanSummary(
        card,
        weightFormat,
        kv,
        device,
        budget,
        pool,
        all,
        load,
        workload.seed(),
        asked,
        timeName.equals(ROOFLINE)
            ? "roofline of "
                + device.id()
                + ": AN ESTIMATE from the data sheet at "
                + rooflineShare
                + " of its peaks"
            : timeName,
        time,
        region,
        planned,
        NestedWaitPlan.of(planned, region, settings(check)));
  }

  private NestedWaitThresholds.Settings settings(OptionCheck check) {
    BoundarySelection.Rule rule = BoundarySelection.Rule.HALVING;
    List<Integer> given = List.of();
    if (boundaries.matches("\\d{1,9}(,\\d{1,9})*")) {
      given = Arrays.stream(boundaries.split(",")).map(Integer::valueOf).toList();
    } else {
      String name = boundaries.toUpperCase(Locale.ROOT).replace('-', '_');
      rule =
          Arrays.stream(BoundarySelection.Rule.values())
              .filter(candidate -> candidate.name().equals(name))
              .findAny()
              .orElseThrow(
                  () ->
                      check.refused(
                          "--boundaries is '"
                              + boundaries
                              + "', must be halving, equal, least-memory or output tokens such as"
                              + " 144,396"));
    }
    return new NestedWaitThresholds.Settings(
        segments, given, OptionalDouble.empty(), horizon, delta, rule);
  }

  private MemoryBudget budget(ModelCard card, NumberFormat kv) {
    return MemoryBudget.of(
        capacity.memory == null ? device.memoryBytes() : capacity.memory,
        utilization,
        card.weightBytes(weightFormat),
        activationReserve == null
            ? card.activationBytes(
                weightFormat, batch.limits().maxTokens(), batch.limits().maxSequences())
            : activationReserve,
        card.kvBytesPerToken(kv) * blockSize);
  }

  private String defaultTime(ModelCard card) throws IOException {
    boolean profiled =
        card.hasShapeOf(ModelCard.read("llama-2-7b")) && device == KnownDevice.A100_80GB;
    return profiled && weightFormat.bytes() == 2 ? PROFILE : ROOFLINE;
  }

  private IterationTime time(String name, ModelCard card, NumberFormat kv) throws IOException {
    if (name.equals(ROOFLINE)) {
      return new RooflineIterationTime(
          card.weightBytes(weightFormat),
          card.parameters(),
          card.kvBytesPerToken(kv),
          device.bytesPerSecond(),
          device.flopsPerSecond(),
          rooflineShare);
    }
    try {
      return IterationTimes.parse(name);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--iteration-time: " + e.getMessage(), e);
    }
  }

  /** Names of {@link KnownDevice}. */
  private static final class KnownDeviceName
      implements picocli.CommandLine.ITypeConverter<KnownDevice> {
    @Override
    public KnownDevice convert(String name) {
      List<String> known = Arrays.stream(KnownDevice.values()).map(KnownDevice::id).toList();
      return KnownDevice.of(name)
          .orElseThrow(
              () ->
                  new picocli.CommandLine.TypeConversionException(
                      "'" + name + "' is no known device; there are " + known));
    }
  }
}
