package dev.weir.benchmarks.peers;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.weir.benchmarks.peers.Results.Engine;
import dev.weir.benchmarks.peers.Results.Quantity;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.WeirException;
import dev.weir.runtime.WeirLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Measures Weir and its peers in turn, point by point. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures Weir's CPU backend, llama.cpp and Jlama in turn on models with random bf16"
          + " weights, and prints their rates side by side.",
      "Nothing else should run on the machine meanwhile."
    })
public final class Compare implements Callable<Integer> {
  private static final double IDLE_LOAD = 0.3;

  /** A measurement during which others had more than this part of the processors is disturbed. */
  private static final double DISTURBED = 0.03;

  @Spec private CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "NAME",
      split = ",",
      description =
          "Models, by the files in benchmarks/peers/shapes. Default: r1b,7b-8-layers; with --quick"
              + " r1b.")
  private List<String> models;

  @Option(
      names = "--context",
      paramLabel = "N",
      split = ",",
      description =
          "Tokens of each sequence when decoding begins. Default: 128,512; with --quick 128.")
  private List<Integer> contexts;

  @Option(
      names = "--batch",
      paramLabel = "N",
      split = ",",
      description =
          "Sequences that decode together. Default: 1,4,8,16,32,64; with --quick 1,16,64.")
  private List<Integer> batches;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "How often each point is measured. Default: 3; with --quick 1.")
  private Integer rounds;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of each engine. Default: as many as there are cores.")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--precision",
      paramLabel = "NAME",
      description =
          "Precision of Weir: ${COMPLETION-CANDIDATES}. The peers compute in bf16. Default:"
              + " ${DEFAULT-VALUE}.")
  private Precision precision = Precision.BF16;

  @Option(names = "--quick", description = "Fewer points, one round.")
  private boolean quick;

  @Option(
      names = "--without",
      paramLabel = "PEER",
      split = ",",
      description = "Leave a peer out: ${COMPLETION-CANDIDATES}.")
  private List<Peer> without = List.of();

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Where every sample goes. Default: ${DEFAULT-VALUE}.")
  private Path json = Path.of("benchmarks/target/peers.json");

  private final Path root = Path.of(System.getProperty("weir.root", "."));
  private final Path peers =
      Path.of(
          Optional.ofNullable(System.getenv("WEIR_PEERS"))
              .orElse(System.getProperty("user.home") + "/.cache/weir-peers"));

  private int failures;
  private int measurements;
  private int disturbed;

  private enum Peer {
    LLAMA,
    JLAMA;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** A piece of work in the progress; no point stands for Jlama, which measures all contexts. */
  private record Piece(String model, Optional<Point> point) {}

  public static void main(String[] arguments) {
    System.exit(
        new CommandLine(new Compare())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .execute(arguments));
  }

  @Override
  public Integer call() throws InterruptedException, IOException {
    fillIn();
    Models folders = new Models(root, peers);
    check(folders);
    Optional<LlamaCpp> llama =
        without.contains(Peer.LLAMA) ? Optional.empty() : LlamaCpp.find(peers, threads);
    Optional<Jlama> jlama =
        without.contains(Peer.JLAMA) ? Optional.empty() : Jlama.find(peers, root, threads);
    DeviceOptions options = DeviceOptions.cpu().withThreads(threads).withPrecision(precision);
    Map<String, String> facts = new LinkedHashMap<>();
    Map<String, Results> results = new LinkedHashMap<>();
    try {
      describe(facts, llama, jlama);
      WeirCpu.warmUp(root.resolve("models/stories260K"), options);
    } catch (PeerException | WeirException e) {
      System.err.println("compare: " + e.getMessage());
      return 1;
    }
    int pieces = contexts.size() * batches.size() + (jlama.isPresent() ? 1 : 0);
    Progress progress = new Progress(models.size() * rounds * pieces, rounds);
    for (String model : models) {
      results.put(model, new Results());
      try {
        Path folder = folders.folder(model);
        try (WeirCpu weir = WeirCpu.load(folder, options)) {
          DeviceInfo device = weir.info();
          facts.put(
              "Weir's CPU backend",
              device.name() + ", " + device.precision() + ", matrices by " + device.matmul());
          Run run = new Run(model, folder, weir, llama, jlama, results.get(model), progress);
          for (int round = 0; round < rounds; round++) {
            run.round(contexts, batches);
          }
        }
      } catch (PeerException | WeirException e) {
        failed(model, e);
      }
    }
    facts.put("load at the end", String.format(Locale.ROOT, "%.1f", Machine.load()));
    facts.put("failures", Integer.toString(failures));
    facts.put(
        "disturbed",
        "%d of %d measurements (others had more than %.0f %% of the processors)"
            .formatted(disturbed, measurements, 100 * DISTURBED));
    Report report = new Report(facts, contexts, batches, results);
    System.out.println();
    System.out.print(report.text());
    if (json.toAbsolutePath().getParent() != null) {
      Files.createDirectories(json.toAbsolutePath().getParent());
    }
    Files.writeString(
        json,
        new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(report.json())
            + "\n");
    System.err.println("every sample: " + json);
    return failures == 0 ? 0 : 1;
  }

  private void fillIn() {
    if (models == null) {
      models = quick ? List.of("r1b") : List.of("r1b", "7b-8-layers");
    }
    if (contexts == null) {
      contexts = quick ? List.of(128) : List.of(128, 512);
    }
    if (batches == null) {
      batches = quick ? List.of(1, 16, 64) : List.of(1, 4, 8, 16, 32, 64);
    }
    if (rounds == null) {
      rounds = quick ? 1 : 3;
    }
  }

  private void check(Models folders) {
    for (String model : models) {
      if (!folders.exists(model)) {
        throw new ParameterException(
            spec.commandLine(),
            "there is no model "
                + model
                + ", only the names of the files in benchmarks/peers/shapes");
      }
    }
    if (rounds < 1
        || threads < 1
        || contexts.stream().anyMatch(context -> context < 1)
        || batches.stream().anyMatch(batch -> batch < 1)) {
      throw new ParameterException(spec.commandLine(), "numbers must be at least 1");
    }
  }

  private void describe(Map<String, String> facts, Optional<LlamaCpp> llama, Optional<Jlama> jlama)
      throws PeerException, InterruptedException {
    facts.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    facts.put("machine", Machine.text());
    facts.put("rounds", Integer.toString(rounds));
    facts.put("threads", Integer.toString(threads));
    facts.put("Weir", WeirLibrary.version() + ", commit " + commit());
    facts.put("Java", Runtime.version().toString());
    if (llama.isPresent()) {
      facts.put("llama.cpp", llama.get().version());
    } else {
      facts.put("llama.cpp", left(Peer.LLAMA));
    }
    facts.put("Jlama", jlama.isPresent() ? jlama.get().version() : left(Peer.JLAMA));
    double load = Machine.load();
    facts.put("load at the start", String.format(Locale.ROOT, "%.1f", load));
    if (load > IDLE_LOAD) {
      System.err.printf(Locale.ROOT, "compare: the machine is not idle, its load is %.1f%n", load);
    }
  }

  private String left(Peer peer) {
    return without.contains(peer) ? "left out" : "not there (benchmarks/peers/build says why)";
  }

  private String commit() throws InterruptedException {
    try {
      return Subprocess.run(
              List.of("git", "-C", root.toString(), "describe", "--always", "--dirty"))
          .strip();
    } catch (PeerException e) {
      return "unknown";
    }
  }

  /** What failed is missing in the report; the rest is measured all the same. */
  private void failed(String what, Exception e) {
    failures++;
    System.err.println("compare: " + what + ": " + e.getMessage());
  }

  /** The rounds of one model. */
  private final class Run {
    private final String model;
    private final Path folder;
    private final WeirCpu weir;
    private final Optional<LlamaCpp> llama;
    private final Optional<Jlama> jlama;
    private final Results results;
    private final Progress progress;

    Run(
        String model,
        Path folder,
        WeirCpu weir,
        Optional<LlamaCpp> llama,
        Optional<Jlama> jlama,
        Results results,
        Progress progress) {
      this.model = model;
      this.folder = folder;
      this.weir = weir;
      this.llama = llama;
      this.jlama = jlama;
      this.results = results;
      this.progress = progress;
    }

    void round(List<Integer> contexts, List<Integer> batches) throws InterruptedException {
      for (int context : contexts) {
        for (int batch : batches) {
          point(new Point(context, batch));
        }
      }
      if (jlama.isPresent()) {
        jlama(contexts);
      }
    }

    /** llama.cpp before and after Weir, so that both see the same minute of the machine. */
    private void point(Point point) throws InterruptedException {
      String what = "%s, context %d, batch %d".formatted(model, point.context(), point.batch());
      long start = System.nanoTime();
      List<String> texts = new ArrayList<>();
      llama(what, point, true, texts);
      try {
        OtherLoad others = OtherLoad.start();
        WeirCpu.Measured measured = weir.measure(point);
        double share = others.share();
        results.add(Engine.WEIR, point, measured.rates());
        results.add(Engine.WEIR, Quantity.JAVA, point, measured.javaMicroseconds());
        texts.add(text(Engine.WEIR, measured.rates()) + measured(share));
      } catch (WeirException e) {
        failed(what, e);
      }
      llama(what, point, false, texts);
      progress.done(
          new Piece(model, Optional.of(point)),
          System.nanoTime() - start,
          what + ": " + String.join("; ", texts));
    }

    private void llama(String what, Point point, boolean flash, List<String> texts)
        throws InterruptedException {
      if (llama.isEmpty()) {
        return;
      }
      Engine engine = flash ? Engine.LLAMA_FLASH : Engine.LLAMA_PLAIN;
      try {
        OtherLoad others = OtherLoad.start();
        Rates rates = llama.get().measure(folder.resolve("model.gguf"), point, flash);
        double share = others.share();
        results.add(engine, point, rates);
        texts.add(text(engine, rates) + measured(share));
      } catch (PeerException e) {
        failed(what, e);
      }
    }

    private void jlama(List<Integer> contexts) throws InterruptedException {
      long start = System.nanoTime();
      List<String> texts = new ArrayList<>();
      OtherLoad others = OtherLoad.start();
      try {
        jlama
            .orElseThrow()
            .measure(folder, contexts)
            .forEach(
                (context, rates) -> {
                  results.add(Engine.JLAMA, new Point(context, 1), rates);
                  texts.add("context " + context + " " + text(Engine.JLAMA, rates));
                });
        texts.add(texts.removeLast() + measured(others.share()));
      } catch (PeerException e) {
        failed(model, e);
      }
      progress.done(
          new Piece(model, Optional.empty()),
          System.nanoTime() - start,
          model + ": " + String.join("; ", texts));
    }

    /** Counts a measurement, and returns what is to be said if others disturbed it. */
    private String measured(double others) {
      measurements++;
      if (others <= DISTURBED) {
        return "";
      }
      disturbed++;
      return " (DISTURBED, others had %.0f %%)".formatted(100 * others);
    }

    private String text(Engine engine, Rates rates) {
      return String.format(
          Locale.ROOT, "%s %.1f decode, %.0f prompt", engine.text, rates.decode(), rates.prompt());
    }
  }
}
