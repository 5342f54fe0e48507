package dev.weir.cli;

import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.BadRow;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.SyntheticArrivals;
import dev.weir.simulation.TimeOrigin;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.TraceReader;
import dev.weir.simulation.TraceStream;
import dev.weir.simulation.WorkloadDigest;
import dev.weir.simulation.experiment.ExperimentData;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;
import picocli.CommandLine.Option;

/** Options that say which requests a simulation serves. They are read again for each scheduler. */
final class WorkloadArguments {
  private static final int DEFAULT_REQUESTS = 1000;
  private static final int NAMED_ROWS = 5;

  /** So many requests, the first ones, tell a planning scheduler what lengths to expect. */
  private static final int SURVEYED = 20_000;

  /** Name of the trace that is part of this program. */
  private static final String CONVERSATION = "conversation";

  @Option(
      names = {"--trace", "--workload"},
      paramLabel = "FILE|NAME",
      description =
          "A trace: CSV of Azure, Vidur or BurstGPT, JSON lines of Mooncake, or 'conversation', 58"
              + " minutes of a chat service of Azure, which is the default if nothing else is said"
              + " of the load. Times are taken as they are written; dates count from the first.")
  private String trace;

  @Option(
      names = "--requests",
      paramLabel = "N",
      description = "Number of requests (default: the whole trace; without one 1000).")
  private Long count;

  @Option(
      names = "--arrivals",
      paramLabel = "PROCESS",
      description =
          "When requests arrive: "
              + ArrivalProcess.SYNTAX
              + ", rates in requests a second (default: as in the trace, otherwise at-once).")
  private String process;

  @Option(
      names = "--prompt-tokens",
      paramLabel = "LENGTHS",
      description =
          "Prompt lengths without a trace: " + LengthDistribution.SYNTAX + " (default: fixed:256).")
  private String promptTokens;

  @Option(
      names = "--output-tokens",
      paramLabel = "LENGTHS",
      description = "Output lengths, in the same way (default: fixed:128).")
  private String outputTokens;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      defaultValue = "1",
      description = "Seed of lengths and arrivals (default: ${DEFAULT-VALUE}).")
  private long seed;

  long seed() {
    return seed;
  }

  /** Goes through the workload once, and names the rows of a trace that are no requests. */
  WorkloadFacts survey(PrintWriter err) throws IOException, TraceException, CliException {
    long[] bad = new long[1];
    Consumer<BadRow> badRows =
        row -> {
          if (bad[0]++ < NAMED_ROWS) {
            err.println(trace + ", line " + row.line() + " left out: " + row.reason());
          }
        };
    WorkloadDigest digest = new WorkloadDigest();
    IntStream.Builder prompts = IntStream.builder();
    IntStream.Builder outputs = IntStream.builder();
    long requests = 0;
    double first = 0;
    double last = 0;
    try (ClosableArrivals arrivals = open(badRows)) {
      while (arrivals.hasNext()) {
        Arrival arrival = arrivals.next();
        digest.add(arrival);
        if (requests < SURVEYED) {
          prompts.add(arrival.promptTokens());
          outputs.add(arrival.outputTokens());
        }
        first = requests == 0 ? arrival.seconds() : first;
        last = arrival.seconds();
        requests++;
      }
    }
    if (bad[0] > NAMED_ROWS) {
      err.println(trace + ": " + bad[0] + " rows left out");
    }
    if (requests == 0) {
      throw new CliException("the workload " + name() + " has no request");
    }
    return new WorkloadFacts(
        name(),
        requests,
        bad[0],
        last > first ? (requests - 1) / (last - first) : Double.POSITIVE_INFINITY,
        digest.hex(),
        prompts.build().toArray(),
        outputs.build().toArray());
  }

  void check(OptionCheck check) {
    if (count != null) {
      check.atLeast("--requests", count, 1);
    }
    if (trace != null && (promptTokens != null || outputTokens != null)) {
      throw check.refused("--prompt-tokens and --output-tokens do not go together with --trace");
    }
    parse(check, "--arrivals", this::process);
    parse(check, "--prompt-tokens", this::prompts);
    parse(check, "--output-tokens", this::outputs);
  }

  private static void parse(OptionCheck check, String option, Runnable parser) {
    try {
      parser.run();
    } catch (IllegalArgumentException e) {
      throw check.refused(option + ": " + e.getMessage());
    }
  }

  /** Whether the requests are those of the trace that is part of this program. */
  boolean bundled() {
    return CONVERSATION.equals(trace)
        || (trace == null
            && count == null
            && process == null
            && promptTokens == null
            && outputTokens == null);
  }

  /** The trace, if it is a file. */
  Optional<Path> file() {
    return trace == null || bundled() ? Optional.empty() : Optional.of(Path.of(trace));
  }

  private boolean synthetic() {
    return trace == null && !bundled();
  }

  private String name() {
    String lengths =
        synthetic()
            ? "prompt " + prompts() + ", output " + outputs()
            : bundled() ? "Azure conversation trace" : Path.of(trace).getFileName().toString();
    boolean asRecorded = !synthetic() && process == null;
    return lengths + ", " + (asRecorded ? "arrivals as recorded" : process());
  }

  private LengthDistribution prompts() {
    return LengthDistribution.parse(promptTokens == null ? "fixed:256" : promptTokens);
  }

  private LengthDistribution outputs() {
    return LengthDistribution.parse(outputTokens == null ? "fixed:128" : outputTokens);
  }

  private ArrivalProcess process() {
    return ArrivalProcess.parse(process == null ? "at-once" : process);
  }

  /** The workload from its beginning. */
  ClosableArrivals arrivals() throws IOException {
    try {
      return open(row -> {});
    } catch (TraceException e) {
      // It could be read a moment ago.
      throw new IOException(e.getMessage(), e);
    }
  }

  private ClosableArrivals open(Consumer<BadRow> badRows) throws TraceException {
    SplittableRandom random = new SplittableRandom(seed);
    if (synthetic()) {
      Iterator<Arrival> drawn =
          new SyntheticArrivals(
              count == null ? DEFAULT_REQUESTS : count, process(), prompts(), outputs(), random);
      return new Limited(drawn, () -> {}, null, Long.MAX_VALUE);
    }
    DoubleSupplier gaps = process == null ? null : process().start(random);
    long limit = count == null ? Long.MAX_VALUE : count;
    if (bundled()) {
      Iterator<Arrival> recorded = ExperimentData.conversationTrace().arrivals().iterator();
      return new Limited(recorded, () -> {}, gaps, limit);
    }
    TraceStream stream = TraceReader.open(Path.of(trace), TimeOrigin.AS_WRITTEN, badRows);
    return new Limited(stream, stream::close, gaps, limit);
  }

  private interface Closer {
    void close() throws IOException;
  }

  /** The first requests of a source, perhaps with other times. */
  private static final class Limited implements ClosableArrivals {
    private final Iterator<Arrival> source;
    private final Closer closer;
    private final DoubleSupplier gaps;
    private long left;
    private double seconds;

    Limited(Iterator<Arrival> source, Closer closer, DoubleSupplier gaps, long limit) {
      this.source = source;
      this.closer = closer;
      this.gaps = gaps;
      this.left = limit;
    }

    @Override
    public boolean hasNext() {
      return left > 0 && source.hasNext();
    }

    @Override
    public Arrival next() {
      left--;
      Arrival arrival = source.next();
      if (gaps == null) {
        return arrival;
      }
      seconds += gaps.getAsDouble();
      return new Arrival(seconds, arrival.promptTokens(), arrival.outputTokens());
    }

    @Override
    public void close() throws IOException {
      closer.close();
    }
  }
}
