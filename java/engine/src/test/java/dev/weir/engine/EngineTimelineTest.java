package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.management.ThreadMXBean;
import dev.weir.scheduling.Preemption;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EngineTimelineTest {
  private static final int ENGINE = 1;
  private static final int REQUESTS = 2;

  @TempDir Path folder;

  /** A slice, in microseconds. */
  private record Slice(String name, double start, double end, JsonObject arguments) {
    double duration() {
      return end - start;
    }
  }

  /** The file, read by the rules of the Trace Event Format. */
  private static final class Events {
    /** By track, which is the request and 1. */
    final Map<Long, List<Slice>> requests = new TreeMap<>();

    final List<Slice> engine = new ArrayList<>();
    final Map<String, List<Long>> counters = new HashMap<>();
    final Map<String, Integer> marks = new HashMap<>();

    static Events read(Path file) throws IOException {
      Events events = new Events();
      Map<Long, Deque<JsonObject>> begun = new HashMap<>();
      Map<Long, Double> times = new HashMap<>();
      JsonArray all = JsonParser.parseString(Files.readString(file)).getAsJsonArray();
      for (JsonElement element : all) {
        JsonObject event = element.getAsJsonObject();
        String name = event.get("name").getAsString();
        int process = event.get("pid").getAsInt();
        long track = event.get("tid").getAsLong();
        if (!event.has("ts")) {
          assertThat(event.get("ph").getAsString()).isEqualTo("M");
          continue;
        }
        double time = event.get("ts").getAsDouble();
        assertThat(time).isNotNegative();
        switch (event.get("ph").getAsString()) {
          case "B" -> {
            assertThat(process).isEqualTo(REQUESTS);
            assertThat(time).isGreaterThanOrEqualTo(times.getOrDefault(track, 0.0));
            times.put(track, time);
            begun.computeIfAbsent(track, _ -> new ArrayDeque<>()).push(event);
          }
          case "E" -> {
            JsonObject begin = begun.get(track).pop();
            assertThat(begin.get("name").getAsString()).isEqualTo(name);
            assertThat(time).isGreaterThanOrEqualTo(times.get(track));
            times.put(track, time);
            events
                .requests
                .computeIfAbsent(track, _ -> new ArrayList<>())
                .add(
                    new Slice(
                        name, begin.get("ts").getAsDouble(), time, event.getAsJsonObject("args")));
          }
          case "X" ->
              events.engine.add(
                  new Slice(
                      name,
                      time,
                      time + event.get("dur").getAsDouble(),
                      event.getAsJsonObject("args")));
          case "C" ->
              event
                  .getAsJsonObject("args")
                  .asMap()
                  .values()
                  .forEach(
                      value ->
                          events
                              .counters
                              .computeIfAbsent(name, _ -> new ArrayList<>())
                              .add(value.getAsLong()));
          case "i" -> {
            assertThat(process).isEqualTo(ENGINE);
            assertThat(event.get("s").getAsString()).isEqualTo("t");
            events.marks.merge(name, 1, Integer::sum);
          }
          default -> throw new AssertionError("unexpected " + event);
        }
      }
      assertThat(begun.values()).allMatch(Deque::isEmpty);
      return events;
    }

    List<Slice> engine(String name) {
      return engine.stream().filter(slice -> slice.name().equals(name)).toList();
    }

    long sum(String argument) {
      return engine("iteration").stream()
          .mapToLong(slice -> slice.arguments().get(argument).getAsLong())
          .sum();
    }

    long mark(String name) {
      return marks.getOrDefault(name, 0);
    }

    long last(String counter) {
      return counters.get(counter).getLast();
    }

    long max(String counter) {
      return counters.get(counter).stream().mapToLong(Long::longValue).max().orElseThrow();
    }
  }

  private static GenerationRequest request(int prompt, int tokens) {
    int[] ids = new int[prompt];
    Arrays.setAll(ids, i -> 3 + i % 500);
    return GenerationRequest.builder(ids).maxTokens(tokens).ignoreEos(true).build();
  }

  @ParameterizedTest
  @EnumSource(Preemption.class)
  void theTimeLineIsWhatTheStatisticsSay(Preemption preemption) throws Exception {
    Path file = folder.resolve("engine.json");
    EngineOptions options =
        EngineOptions.builder(TestModel.STORIES)
            .scheduler("fcfs")
            .kvBlocks(24)
            .swapBlocks(preemption == Preemption.SWAP ? 24 : 0)
            .preemption(preemption)
            .maxBatchTokens(48)
            .build();
    Engine engine = Engine.start(options);
    EngineTimeline timeline = EngineTimeline.record(engine, file);
    List<Generation> generations = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      generations.add(engine.submit(request(10 + 5 * i, 40)));
    }
    generations.get(19).cancel();
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> engine.submit(request(10_000, 1)))
          .isInstanceOf(RejectedRequestException.class);
    }
    List<GenerationResult> results = generations.stream().map(Generation::await).toList();
    engine.close();
    timeline.close();
    timeline.close();
    assertThat(timeline.lostEvents()).isZero();

    EngineStatistics statistics = engine.statistics();
    assertThat(statistics.evictions()).isPositive();
    Events events = Events.read(file);

    // Every iteration is a slice, they do not overlap, and their parts lie within.
    List<Slice> iterations = events.engine("iteration");
    assertThat(iterations).hasSize((int) statistics.iterations());
    List<Slice> sorted = new ArrayList<>(iterations);
    sorted.sort(Comparator.comparingDouble(Slice::start));
    for (int i = 0; i < sorted.size(); i++) {
      assertThat(sorted.get(i).arguments().get("number").getAsInt()).isEqualTo(i + 1);
      assertThat(sorted.get(i).duration()).isPositive();
      if (i > 0) {
        assertThat(sorted.get(i).start()).isGreaterThanOrEqualTo(sorted.get(i - 1).end() - 1e-3);
      }
    }
    for (String part : List.of("schedule", "step")) {
      for (Slice slice : events.engine(part)) {
        assertThat(iterations)
            .anyMatch(whole -> whole.start() <= slice.start() && slice.end() <= whole.end() + 1e-3);
      }
    }
    assertThat(events.sum("evictions")).isEqualTo(statistics.evictions());
    assertThat(events.sum("decoding") + events.sum("prefill tokens"))
        .isEqualTo(statistics.kv().tokensComputed());

    // Every request that began ended, with phases that fill its time without a gap.
    assertThat(events.requests).hasSize(20);
    for (int i = 0; i < 20; i++) {
      GenerationResult result = results.get(i);
      List<Slice> slices = events.requests.get(generations.get(i).id() + 1);
      Slice whole = slices.getLast();
      assertThat(whole.name()).isEqualTo("request " + generations.get(i).id());
      assertThat(whole.arguments().get("output tokens").getAsInt()).isEqualTo(result.ids().length);
      assertThat(whole.arguments().get("evictions").getAsInt()).isEqualTo(result.evictions());
      assertThat(whole.arguments().get("outcome").getAsString())
          .isEqualTo(result.finishReason().name().toLowerCase(Locale.ROOT));
      double at = whole.start();
      for (Slice phase : slices.subList(0, slices.size() - 1)) {
        assertThat(phase.start()).isEqualTo(at);
        at = phase.end();
      }
      assertThat(at).isEqualTo(whole.end());
      assertThat(slices.getFirst().name()).isEqualTo("waiting");
      // The first iteration and the first token, as the engine told whoever asked.
      if (result.ids().length > 0) {
        double queue = result.timings().queueTime().toNanos() * 1e-3;
        assertThat(slices.getFirst().duration()).isCloseTo(queue, offset(1.0));
      }
      long lost =
          slices.stream()
              .filter(slice -> slice.name().equals("evicted") || slice.name().equals("swapped"))
              .count();
      assertThat(lost).isEqualTo(result.evictions());
    }

    // Marks and counters.
    assertThat(events.mark("refused")).isEqualTo(3);
    assertThat(events.mark("length")).isEqualTo(statistics.finished().get(FinishReason.LENGTH));
    assertThat(events.mark("cancelled"))
        .isEqualTo(statistics.finished().get(FinishReason.CANCELLED));
    assertThat(events.mark("swapped")).isEqualTo(statistics.swapEvictions());
    assertThat(events.mark("evicted"))
        .isEqualTo(statistics.evictions() - statistics.swapEvictions());
    assertThat(events.max("KV blocks used")).isEqualTo(statistics.kv().peakUsed());
    assertThat(events.last("KV blocks used")).isZero();
    assertThat(events.max("KV blocks at full length")).isGreaterThan(24);
    assertThat(events.last("requests running")).isZero();
    assertThat(events.last("requests waiting")).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"arrived", "plan", "departed"})
  void anEngineThatFailsEndsItsRequestsOnTheTimeLineToo(String method) throws Exception {
    Path file = folder.resolve("engine.json");
    EngineOptions options =
        EngineOptions.builder(TestModel.STORIES)
            .scheduler("failing")
            .schedulerOptions(Map.of(method, "2"))
            .build();
    Engine engine = Engine.start(options);
    try (EngineTimeline _ = EngineTimeline.record(engine, file)) {
      List<Generation> generations = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        try {
          generations.add(engine.submit(request(5, 20)));
        } catch (RejectedRequestException _) {
          break; // it has failed already
        }
      }
      for (Generation generation : generations) {
        generation.completion().handle((_, _) -> null).join();
      }
      engine.close();
    }
    Events events = Events.read(file);
    EngineStatistics statistics = engine.statistics();
    assertThat(engine.state()).isEqualTo(EngineState.FAILED);
    assertThat(events.mark("failed")).isEqualTo(statistics.failed()).isPositive();
    assertThat(events.mark("not ended")).isZero();
  }

  @Test
  void aTimeLineThatEndsBeforeTheEngineEndsWhatIsOpen() throws Exception {
    Path file = folder.resolve("engine.json");
    EngineGate gate = new EngineGate();
    try (Engine engine = Engine.start(EngineOptions.builder(TestModel.STORIES).build())) {
      EngineTimeline timeline = EngineTimeline.record(engine, file);
      engine.addListener(gate);
      engine.submit(request(5, 400));
      gate.awaitReached();
      timeline.close();
      gate.open();
    }
    Events events = Events.read(file);
    assertThat(events.mark("not ended")).isEqualTo(1);
    assertThat(events.requests).hasSize(1);
  }

  /** A pipe that nobody reads from is a disk that takes nothing more. */
  @Test
  void aSlowDiskCostsEventsAndNotTheEngine() throws Exception {
    Path pipe = folder.resolve("pipe");
    assumeTrue(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor() == 0);
    Path copy = folder.resolve("copy.json");
    Engine engine = Engine.start(EngineOptions.builder(TestModel.STORIES).build());
    // Open for both directions, so that opening it to write does not wait for a reader.
    try (RandomAccessFile held = new RandomAccessFile(pipe.toFile(), "rw")) {
      EngineTimeline timeline = EngineTimeline.record(engine, pipe, 2);
      int round = 0;
      while (timeline.lostEvents() == 0) {
        assertThat(round++).isLessThan(100);
        engine.submit(request(5, 400)).await();
      }
      Thread reader =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try (InputStream in = new FileInputStream(held.getFD());
                        OutputStream out = Files.newOutputStream(copy)) {
                      byte[] part = new byte[1 << 16];
                      int last = 0;
                      // The bracket at the end is outside of every event.
                      while (last != ']') {
                        int count = in.read(part);
                        out.write(part, 0, count);
                        last = part[count - 1];
                      }
                    } catch (IOException e) {
                      throw new UncheckedIOException(e);
                    }
                  });
      engine.submit(request(5, 400)).await();
      engine.close();
      timeline.close();
      reader.join();
      assertThat(timeline.lostEvents()).isPositive();
    }
    Events events = Events.read(copy);
    assertThat((long) events.engine("iteration").size())
        .isPositive()
        .isLessThan(engine.statistics().iterations());
    assertThat(events.marks.keySet()).anyMatch(mark -> mark.endsWith("events are missing here"));
  }

  @Test
  void aFileThatCannotBeWrittenIsSaidAtOnce() {
    try (Engine engine = Engine.start(EngineOptions.builder(TestModel.STORIES).build())) {
      assertThatThrownBy(() -> EngineTimeline.record(engine, folder))
          .isInstanceOf(IOException.class);
    }
  }

  /** On the engine's thread; what the writer's thread allocates holds nothing up. */
  @Test
  void recordingAllocatesNothingOnTheEnginesThread() throws Exception {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    List<Long> allocated = new ArrayList<>();
    long[] last = {-1};
    EngineListener meter =
        _ -> {
          if (last[0] >= 0) {
            allocated.add(threads.getCurrentThreadAllocatedBytes() - last[0]);
          }
          last[0] = threads.getCurrentThreadAllocatedBytes();
        };
    Path file = folder.resolve("engine.json");
    Engine engine =
        Engine.start(
            EngineOptions.builder(TestModel.STORIES).scheduler("fcfs").maxBatchTokens(8).build());
    try (EngineTimeline _ = EngineTimeline.record(engine, file)) {
      for (int round = 0; round < 14; round++) {
        if (round == 8) {
          engine.addListener(meter); // all of it has been compiled by now
        }
        List<Generation> generations = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
          generations.add(engine.submit(request(20, 60)));
        }
        generations.forEach(Generation::await);
      }
      engine.close();
    }
    assertThat(allocated).hasSizeGreaterThan(200);
    long[] sorted = allocated.stream().mapToLong(Long::longValue).sorted().toArray();
    assertThat(sorted[sorted.length / 2]).isZero();
  }
}
