package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.opentest4j.TestAbortedException;

/** What the binding gives and refuses, on the real model that is bundled. */
class BindingTest {
  private static final int BLOCK_SIZE = 16;

  private static TestObjects objects;

  @BeforeAll
  static void load() {
    objects = new TestObjects(Precision.FP32);
  }

  @AfterAll
  static void close() {
    objects.close();
  }

  @Test
  void describesTheDevice() {
    DeviceInfo info = objects.device.info();
    assertThat(info.kind()).isEqualTo(DeviceKind.CPU);
    assertThat(info.ordinal()).isZero();
    assertThat(info.threads()).isOne();
    assertThat(info.memoryTotal()).isGreaterThan(info.memoryAvailable());
    assertThat(info.memoryAvailable()).isPositive();
    assertThat(info.name()).isNotBlank();
    assertThat(info.precision()).isEqualTo(Precision.FP32);
    assertThat(info.matmul()).startsWith("oneDNN 3.");
  }

  @Test
  void theDefaultPrecisionIsTheBestThatTheProcessorHas() {
    boolean bfloat16 = true;
    try {
      Device.open(DeviceOptions.cpu().withPrecision(Precision.BF16)).close();
    } catch (UnsupportedException e) {
      assertThat(e).hasMessageContaining("BF16").hasMessageContaining("FP32");
      bfloat16 = false;
    }
    try (Device device = Device.open(DeviceOptions.cpu())) {
      assertThat(device.info().precision()).isEqualTo(bfloat16 ? Precision.BF16 : Precision.FP32);
      assertThat(device.info().threads()).isPositive();
    }
    try (Device reference = Device.open(DeviceOptions.of(DeviceKind.CPU_REFERENCE))) {
      assertThat(reference.info().precision()).isEqualTo(Precision.FP32);
    }
  }

  @Test
  void theReferenceHasOnePrecisionOnly() {
    for (Precision precision : List.of(Precision.BF16, Precision.INT8)) {
      assertThatExceptionOfType(UnsupportedException.class)
          .isThrownBy(
              () ->
                  Device.open(DeviceOptions.of(DeviceKind.CPU_REFERENCE).withPrecision(precision)))
          .withMessageContaining("reference")
          .satisfies(e -> assertThat(e.status()).isEqualTo(Status.UNSUPPORTED));
    }
  }

  @Test
  void aDeterministicDeviceMultipliesFloatsItself() {
    try (Device device =
        Device.open(DeviceOptions.cpu().withPrecision(Precision.FP32).withDeterministic(true))) {
      assertThat(device.info().matmul()).contains("deterministic");
    }
  }

  @Test
  void pinnedOperatorThreadsLeaveTheThreadThatRunsStepsAlone() throws IOException {
    String before = allowedProcessors();
    try (Device device = Device.open(DeviceOptions.cpu().withPinThreads(true));
        Model model = Model.load(device, Golden.MODEL, ModelOptions.defaults());
        KvCache cache = KvCache.create(model, KvCacheOptions.ofBlocks(4));
        Step step = Step.create(cache, StepOptions.defaults())) {
      int[] prompt = prompt(40);
      step.sample(step.add(cache.createSequence(), prompt, 0, 40), Sampling.greedy());
      step.run();
      assertThat(allowedProcessors()).isEqualTo(before);
    }
  }

  /** Of the calling thread, such as "0-1". */
  private static String allowedProcessors() throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/thread-self/status"))) {
      return lines.filter(line -> line.startsWith("Cpus_allowed_list:")).findFirst().orElseThrow();
    }
  }

  /**
   * Of the bundled model: 260,032 parameters, of which the table of 512 * 64 serves twice and is
   * kept twice in fp32; a token has 2 * 5 layers * 4 heads * 8 numbers of keys and values.
   */
  @ParameterizedTest
  @CsvSource({"FP32, 4", "BF16, 2", "INT8, 2"})
  void memoryIsPlannedBeforeItIsTaken(Precision precision, int kvBytes) {
    KvCacheOptions options = KvCacheOptions.ofBlocks(100).withBlockSize(8).withSwapBlocks(7);
    StepOptions step = new StepOptions(8, 64, 0);
    try (Device device = open(precision)) {
      MemoryPlan plan = device.planMemory(Golden.MODEL, ModelOptions.defaults(), options, step);
      int blockBytes = 8 * 2 * 5 * 4 * 8 * kvBytes;
      assertThat(plan.blockSize()).isEqualTo(8);
      assertThat(plan.kvBlockBytes()).isEqualTo(blockBytes);
      assertThat(plan.kvBlocks()).isEqualTo(100);
      assertThat(plan.kvBytes()).isEqualTo(100L * blockBytes);
      assertThat(plan.swapBytes()).isEqualTo(7L * blockBytes);
      assertThat(plan.deviceTotal()).isGreaterThan(plan.deviceAvailable());
      assertThat(plan.weights()).isGreaterThan(260_032L * (precision == Precision.INT8 ? 1 : 2));
      assertThat(plan.workspace()).isPositive();
      assertThat(plan.graphs()).isZero();
      assertThat(plan.kvAvailable())
          .isEqualTo(plan.deviceAvailable() - plan.weights() - plan.workspace());
      assertThat(
              device
                  .planMemory(Golden.MODEL, ModelOptions.random(0).withLayerLimit(1), options, step)
                  .weights())
          .isLessThan(plan.weights());
      assertThat(
              device
                  .planMemory(
                      Golden.MODEL, ModelOptions.defaults(), options, StepOptions.defaults())
                  .workspace())
          .isGreaterThan(plan.workspace());
      try (Model model = Model.load(device, Golden.MODEL, ModelOptions.defaults());
          KvCache cache = KvCache.create(model, options)) {
        assertThat(cache.statistics().blockBytes()).isEqualTo(plan.kvBlockBytes());
        assertThat(model.info().kvBytesPerToken() * 8).isEqualTo(plan.kvBlockBytes());
      }
    }
  }

  @Test
  void aPlanOfNoCertainSizeGivesTheKvPoolWhatIsLeft() {
    MemoryPlan plan =
        objects.device.planMemory(
            Golden.MODEL,
            ModelOptions.defaults(),
            KvCacheOptions.unsized(),
            StepOptions.defaults());
    assertThat(plan.blockSize()).isEqualTo(BLOCK_SIZE);
    assertThat(plan.kvBlocks())
        .isEqualTo(Math.min(plan.kvAvailable() / plan.kvBlockBytes(), Integer.MAX_VALUE));
    assertThat(plan.kvBytes()).isEqualTo(plan.kvBlocks() * plan.kvBlockBytes());
  }

  @Test
  void aPlanIsCheckedAsTheObjectsAre(@TempDir Path folder) {
    StepOptions step = StepOptions.defaults();
    KvCacheOptions cache = KvCacheOptions.ofBlocks(1);
    Device device = objects.device;
    assertThatExceptionOfType(ModelIoException.class)
        .isThrownBy(() -> device.planMemory(folder, ModelOptions.defaults(), cache, step));
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(
            () ->
                device.planMemory(
                    Golden.MODEL, ModelOptions.defaults(), cache.withBlockSize(1025), step))
        .withMessageContaining("1025");
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(
            () ->
                device.planMemory(
                    Golden.MODEL,
                    ModelOptions.defaults(),
                    new KvCacheOptions(0, 1, 1_000_000, 0, 0, Precision.DEFAULT),
                    step));
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(
            () ->
                device.planMemory(
                    Golden.MODEL, ModelOptions.defaults(), cache, new StepOptions(-1, 0, 0)));
  }

  @Test
  void theCpuKeepsKeysAndValuesAsItComputes() {
    for (Precision precision : List.of(Precision.FP16, Precision.INT8, Precision.FP8)) {
      KvCacheOptions options = KvCacheOptions.ofBlocks(1).withKvPrecision(precision);
      assertThatExceptionOfType(UnsupportedException.class)
          .as(precision.name())
          .isThrownBy(() -> KvCache.create(objects.model, options))
          .withMessageContaining("kv_precision");
      assertThatExceptionOfType(UnsupportedException.class)
          .as(precision.name())
          .isThrownBy(
              () ->
                  objects.device.planMemory(
                      Golden.MODEL, ModelOptions.defaults(), options, StepOptions.defaults()));
    }
  }

  @Test
  void theCpuHasNeitherHalfPrecisionNorEightBitFloats() {
    for (Precision precision : List.of(Precision.FP16, Precision.FP8)) {
      assertThatExceptionOfType(UnsupportedException.class)
          .isThrownBy(() -> Device.open(DeviceOptions.cpu().withPrecision(precision)));
    }
  }

  @Test
  void graphsAreNoMatterOfTheCpu() {
    try (Device device = Device.open(DeviceOptions.cpu().withGraphs(false))) {
      DeviceInfo info = device.info();
      assertThat(info.computeCapability()).isZero();
      assertThat(info.multiprocessors()).isZero();
      assertThat(info.pciBusId()).isEmpty();
    }
  }

  @Test
  void profileRangesGoOnAndOff() {
    WeirLibrary.profileRanges(true);
    WeirLibrary.profileRanges(false);
  }

  private static Device open(Precision precision) {
    try {
      return Device.open(DeviceOptions.cpu().withPrecision(precision));
    } catch (UnsupportedException e) {
      throw new TestAbortedException(e.getMessage(), e);
    }
  }

  @Test
  void describesTheModel() {
    ModelInfo info = objects.model.info();
    assertThat(info)
        .isEqualTo(
            new ModelInfo(
                512,
                64,
                172,
                5,
                8,
                4,
                8,
                512,
                true,
                10000,
                1e-5f,
                OptionalInt.of(1),
                List.of(2),
                260_032,
                260_032 * Float.BYTES,
                5 * 2 * 4 * 8 * Float.BYTES));
    assertThat(Model.inspect(Golden.MODEL, ModelOptions.defaults())).isEqualTo(info);
    assertThat(objects.model.device()).isSameAs(objects.device);
  }

  @Test
  void inspectsAModelCardWithoutWeights() {
    Path llama = Path.of(System.getProperty("weir.root"), "models", "llama-2-7b");
    ModelInfo info = Model.inspect(llama, ModelOptions.random(0));
    assertThat(info.parameters()).isEqualTo(6_738_415_616L);
    assertThat(info.layers()).isEqualTo(32);
    assertThat(Model.inspect(llama, ModelOptions.random(0).withLayerLimit(2)).layers())
        .isEqualTo(2);
    assertThatExceptionOfType(ModelIoException.class)
        .isThrownBy(() -> Model.inspect(llama, ModelOptions.defaults()))
        .withMessageContaining("llama-2-7b");
  }

  @Test
  void randomWeightsDependOnTheSeedOnly() {
    float[] first = logitsOfRandomModel(7);
    assertThat(logitsOfRandomModel(7)).isEqualTo(first);
    assertThat(logitsOfRandomModel(8)).isNotEqualTo(first);
  }

  private static float[] logitsOfRandomModel(long seed) {
    try (Model model = Model.load(objects.device, Golden.MODEL, ModelOptions.random(seed));
        KvCache cache = KvCache.create(model, KvCacheOptions.ofBlocks(1));
        Step step = Step.create(cache, StepOptions.defaults())) {
      step.sample(step.add(cache.createSequence(), 1), Sampling.greedy());
      step.run();
      float[] logits = new float[model.info().vocabularySize()];
      step.logits(0, logits);
      return logits;
    }
  }

  @Test
  void loadProgressEndsAtTheTotal() {
    LoadProgress progress = new LoadProgress();
    assertThat(progress.total()).isZero();
    try (Model model =
        Model.load(objects.device, Golden.MODEL, ModelOptions.defaults(), progress)) {
      assertThat(progress.total()).isEqualTo(model.info().weightBytes());
      assertThat(progress.done()).isEqualTo(progress.total());
    }
  }

  @Test
  void saysWhatTheReferenceSays() {
    Golden.Case golden = Golden.firstCase();
    int vocabularySize = objects.model.info().vocabularySize();
    float[] logits = new float[vocabularySize];
    int compared = 0;
    try (KvCache cache = objects.cache(8);
        Step step = Step.create(cache, new StepOptions(1, 64, 0))) {
      Sequence sequence = cache.createSequence();
      int[] prompt = golden.promptIds();
      step.sample(step.add(sequence, prompt, 0, prompt.length), Sampling.greedy());
      step.run();
      for (int i = 0; i < golden.greedyIds().length; i++) {
        assertThat(step.sampledToken(0)).as("token %d", i).isEqualTo(golden.greedyIds()[i]);
        int position = prompt.length - 1 + i;
        for (int index = 0; index < golden.logitsPositions().length; index++) {
          if (golden.logitsPositions()[index] == position) {
            step.logits(0, logits);
            assertThat(logits)
                .containsExactly(Golden.logits(golden, index, vocabularySize), within(1e-4f));
            compared++;
          }
        }
        step.clear();
        step.sample(step.add(sequence, golden.greedyIds()[i]), Sampling.greedy());
        step.run();
      }
      assertThat(sequence.length()).isEqualTo(prompt.length + golden.greedyIds().length);
    }
    assertThat(compared).isEqualTo(golden.logitsPositions().length);
  }

  @Test
  void aPromptInChunksGivesTheSameAsInOne() {
    int[] prompt = prompt(40);
    try (KvCache cache = objects.cache(16);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence whole = cache.createSequence();
      Sequence chunked = cache.createSequence();
      step.add(chunked, prompt, 0, 13);
      int entry = step.add(whole, prompt, 0, prompt.length);
      step.sample(entry, Sampling.greedy());
      step.run();
      assertThat(step.entries()).isEqualTo(2);
      assertThat(step.tokens()).isEqualTo(13 + 40);
      assertThat(step.nanoseconds()).isPositive();
      assertThat(step.blocksTaken()).isEqualTo(1 + 3);
      assertThat(step.copiedOnWrite()).isZero();
      assertThat(step.sampledToken(0)).isEqualTo(-1);
      assertThat(step.sampledLogProbability(0)).isNaN();
      int token = step.sampledToken(entry);
      float logProbability = step.sampledLogProbability(entry);

      step.clear();
      step.sample(step.add(chunked, prompt, 13, 27), Sampling.greedy());
      step.run();
      assertThat(step.sampledToken(0)).isEqualTo(token);
      assertThat(step.sampledLogProbability(0)).isCloseTo(logProbability, within(1e-4f));
      assertThat(chunked.length()).isEqualTo(40);
    }
  }

  @Test
  void reportsTheMostLikelyTokens() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, new StepOptions(2, 16, 5))) {
      int[] prompt = prompt(8);
      step.sample(
          step.add(cache.createSequence(), prompt, 0, 8),
          Sampling.greedy().withTopLogProbabilities(5));
      step.sample(
          step.add(cache.createSequence(), prompt, 0, 8),
          Sampling.greedy().withTopLogProbabilities(2));
      step.run();
      assertThat(step.topToken(0, 0)).isEqualTo(step.sampledToken(0));
      assertThat(step.topLogProbability(0, 0)).isEqualTo(step.sampledLogProbability(0));
      for (int rank = 1; rank < 5; rank++) {
        assertThat(step.topLogProbability(0, rank))
            .isLessThanOrEqualTo(step.topLogProbability(0, rank - 1));
      }
      assertThat(step.topToken(1, 1)).isEqualTo(step.topToken(0, 1));
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.topToken(1, 2))
          .withMessageContaining("rank is 2")
          .withMessageContaining("asked for 2");
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.topLogProbability(0, -1))
          .withMessageContaining("rank is -1");
    }
  }

  @Test
  void samplingDependsOnTheSeedAndThePosition() {
    try (KvCache cache = objects.cache(64);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sampling hot = Sampling.greedy().withTemperature(1.5f).withSeed(42);
      List<Integer> first = generate(cache, step, hot, 20);
      assertThat(generate(cache, step, hot, 20)).isEqualTo(first);
      assertThat(generate(cache, step, hot.withSeed(43), 20)).isNotEqualTo(first);
      assertThat(generate(cache, step, hot.withTopK(1), 20))
          .isEqualTo(generate(cache, step, Sampling.greedy(), 20));
    }
  }

  @Test
  void virtualThreadsWithStepsOfTheirOwnShareACache() throws Exception {
    int count = 16;
    Golden.Case golden = Golden.firstCase();
    List<Integer> expected = IntStream.of(golden.greedyIds()).limit(20).boxed().toList();
    try (KvCache cache = objects.cache(count * 2);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<List<Integer>>> answers = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        answers.add(
            threads.submit(
                () -> {
                  try (Step step = Step.create(cache, new StepOptions(1, 1, 0))) {
                    return generate(cache, step, Sampling.greedy(), 20);
                  }
                }));
      }
      for (Future<List<Integer>> answer : answers) {
        assertThat(answer.get()).isEqualTo(expected);
      }
      assertThat(cache.statistics().steps()).isEqualTo(count * 20);
      assertThat(cache.freeBlocks()).isEqualTo(count * 2);
    }
  }

  private static List<Integer> generate(KvCache cache, Step step, Sampling sampling, int count) {
    List<Integer> tokens = new ArrayList<>();
    try (Sequence sequence = cache.createSequence()) {
      int token = 1;
      for (int i = 0; i < count; i++) {
        step.clear();
        step.sample(step.add(sequence, token), sampling);
        step.run();
        token = step.sampledToken(0);
        tokens.add(token);
      }
    }
    return tokens;
  }

  @Test
  void aForkSharesBlocksUntilOneOfTheTwoWrites() {
    try (KvCache cache = objects.cache(8);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence parent = cache.createSequence();
      int[] prompt = prompt(20);
      step.add(parent, prompt, 0, 20);
      step.run();
      Sequence child = parent.fork();
      assertThat(child.length()).isEqualTo(20);
      assertThat(child.blockTable()).isEqualTo(parent.blockTable()).hasSize(2);
      assertThat(child.info()).isEqualTo(new SequenceInfo(20, 2, 2, false));
      assertThat(cache.statistics().shared()).isEqualTo(2);
      assertThat(cache.freeBlocks()).isEqualTo(6);

      step.clear();
      step.sample(step.add(parent, 5), Sampling.greedy());
      step.sample(step.add(child, 5), Sampling.greedy());
      step.run();
      assertThat(step.copiedOnWrite()).isOne();
      assertThat(step.blocksTaken()).isOne();
      assertThat(step.sampledToken(0)).isEqualTo(step.sampledToken(1));
      assertThat(child.blockTable()[0]).isEqualTo(parent.blockTable()[0]);
      assertThat(child.blockTable()[1]).isNotEqualTo(parent.blockTable()[1]);

      parent.close();
      assertThat(child.info()).isEqualTo(new SequenceInfo(21, 2, 0, false));
      assertThat(cache.freeBlocks()).isEqualTo(6);
    }
  }

  @Test
  void truncateForgetsTokensAndFreesBlocks() {
    try (KvCache cache = objects.cache(8);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      int[] prompt = prompt(40);
      step.sample(step.add(sequence, prompt, 0, 40), Sampling.greedy());
      step.run();
      int expected = step.sampledToken(0);

      sequence.truncate(10);
      assertThat(sequence.length()).isEqualTo(10);
      assertThat(cache.freeBlocks()).isEqualTo(7);
      step.clear();
      step.sample(step.add(sequence, prompt, 10, 30), Sampling.greedy());
      step.run();
      assertThat(step.sampledToken(0)).isEqualTo(expected);

      for (int length : new int[] {-1, 41, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(() -> sequence.truncate(length))
            .withMessageContaining(Integer.toString(length));
      }
      assertThat(sequence.length()).isEqualTo(40);
    }
  }

  @Test
  void aSwappedSequenceComesBackAsItWas() {
    try (KvCache cache =
            KvCache.create(objects.model, KvCacheOptions.ofBlocks(4).withSwapBlocks(3));
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      int[] prompt = prompt(40);
      step.add(sequence, prompt, 0, 39);
      step.run();
      sequence.swapOut();
      assertThat(sequence.isSwapped()).isTrue();
      assertThat(sequence.length()).isEqualTo(39);
      assertThat(sequence.blockTable()).isEmpty();
      assertThat(cache.freeBlocks()).isEqualTo(4);
      assertThat(cache.freeSwapBlocks()).isZero();
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(sequence::swapOut);
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(sequence::fork);

      step.clear();
      step.add(sequence, 1);
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(step::run)
          .withMessageContaining("entry 0")
          .withMessageContaining("swapped");

      Sequence other = cache.createSequence();
      step.clear();
      step.add(other, prompt, 0, 17);
      step.run();
      assertThatExceptionOfType(OutOfSwapException.class)
          .isThrownBy(other::swapOut)
          .satisfies(
              e -> {
                assertThat(e.status()).isEqualTo(Status.OUT_OF_SWAP);
                assertThat(e.needed()).isEqualTo(2);
                assertThat(e.available()).isZero();
              });
      assertThatExceptionOfType(OutOfBlocksException.class)
          .isThrownBy(sequence::swapIn)
          .satisfies(
              e -> {
                assertThat(e.needed()).isEqualTo(3);
                assertThat(e.available()).isEqualTo(2);
              });
      other.close();

      sequence.swapIn();
      assertThat(sequence.isSwapped()).isFalse();
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(sequence::swapIn);
      step.clear();
      step.sample(step.add(sequence, prompt, 39, 1), Sampling.greedy());
      step.run();
      int token = step.sampledToken(0);
      sequence.truncate(0);
      step.clear();
      step.sample(step.add(sequence, prompt, 0, 40), Sampling.greedy());
      step.run();
      assertThat(token).isEqualTo(step.sampledToken(0));
      assertThat(cache.statistics().swappedOut()).isEqualTo(3);
      assertThat(cache.statistics().swappedIn()).isEqualTo(3);
    }
  }

  @Test
  void tooFewBlocksChangeNothing() {
    try (KvCache cache = objects.cache(3);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence first = cache.createSequence();
      Sequence second = cache.createSequence();
      int[] prompt = prompt(33);
      step.add(first, prompt, 0, 32);
      step.run();

      step.clear();
      step.add(first, prompt, 32, 1);
      step.add(second, prompt, 0, 17);
      assertThatExceptionOfType(OutOfBlocksException.class)
          .isThrownBy(step::run)
          .satisfies(
              e -> {
                assertThat(e.status()).isEqualTo(Status.OUT_OF_BLOCKS);
                assertThat(e.needed()).isEqualTo(3);
                assertThat(e.available()).isEqualTo(1);
              });
      assertThat(first.length()).isEqualTo(32);
      assertThat(second.length()).isZero();
      assertThat(cache.freeBlocks()).isEqualTo(1);
      assertThat(step.entries()).as("entries of the last run that succeeded").isEqualTo(1);

      first.truncate(0);
      step.run();
      assertThat(step.entries()).isEqualTo(2);
      assertThat(first.length()).isEqualTo(1);
      assertThat(second.length()).isEqualTo(17);
    }
  }

  @Test
  void statisticsCountWhatHappened() {
    try (KvCache cache =
            KvCache.create(
                objects.model, KvCacheOptions.ofBlocks(8).withBlockSize(4).withSwapBlocks(2));
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      step.add(sequence, prompt(9), 0, 9);
      step.run();
      sequence.truncate(5);
      assertThat(cache.statistics())
          .isEqualTo(
              new KvCacheStatistics(4, 4 * 1280, 8, 6, 2, 0, 3, 2, 0, 1, 0, 5, 1, 9, 0, 0, 0));
      assertThat(cache.freeSwapBlocks()).isEqualTo(2);
      assertThat(cache.model()).isSameAs(objects.model);
    }
  }

  @Test
  void aCapacityInBytesIsRoundedDownToBlocks() {
    long blockBytes = BLOCK_SIZE * objects.model.info().kvBytesPerToken();
    try (KvCache cache =
        KvCache.create(objects.model, KvCacheOptions.ofBytes(3 * blockBytes + 1))) {
      assertThat(cache.statistics().capacity()).isEqualTo(3);
      assertThat(cache.statistics().blockBytes()).isEqualTo(blockBytes);
    }
  }

  @Test
  void cacheOptionsOutOfRange() {
    for (KvCacheOptions options :
        List.of(
            KvCacheOptions.ofBlocks(0),
            KvCacheOptions.ofBlocks(-1),
            KvCacheOptions.ofBytes(-1),
            KvCacheOptions.ofBytes(1),
            new KvCacheOptions(0, 1, 1_000_000, 0, 0, Precision.DEFAULT),
            KvCacheOptions.ofBlocks(1).withBlockSize(-1),
            KvCacheOptions.ofBlocks(1).withBlockSize(1025),
            KvCacheOptions.ofBlocks(1).withSwapBlocks(-1),
            KvCacheOptions.ofBlocks(Long.MAX_VALUE),
            KvCacheOptions.ofBlocks(1).withMaxSequences(-1))) {
      assertThatExceptionOfType(InvalidArgumentException.class)
          .as(options.toString())
          .isThrownBy(() -> KvCache.create(objects.model, options));
    }
  }

  @Test
  void aPoolThatDoesNotFitIsRefused() {
    assertThatExceptionOfType(DeviceMemoryException.class)
        .isThrownBy(() -> objects.cache(Integer.MAX_VALUE))
        .satisfies(
            e -> {
              assertThat(e.status()).isEqualTo(Status.OUT_OF_MEMORY);
              assertThat(e.needed()).isGreaterThan(e.available());
            });
  }

  @Test
  void moreSequencesThanAllowed() {
    try (KvCache cache =
        KvCache.create(objects.model, KvCacheOptions.ofBlocks(1).withMaxSequences(2))) {
      Sequence first = cache.createSequence();
      first.fork();
      assertThatExceptionOfType(DeviceMemoryException.class).isThrownBy(cache::createSequence);
      assertThatExceptionOfType(DeviceMemoryException.class).isThrownBy(first::fork);
      first.close();
      cache.createSequence();
    }
  }

  @Test
  void stepOptionsOutOfRange() {
    try (KvCache cache = objects.cache(1)) {
      for (StepOptions options :
          List.of(
              new StepOptions(-1, 0, 0),
              new StepOptions(65_537, 0, 0),
              new StepOptions(0, -1, 0),
              new StepOptions(0, 1_048_577, 0),
              new StepOptions(0, 0, -1),
              new StepOptions(0, 0, 65))) {
        assertThatExceptionOfType(InvalidArgumentException.class)
            .as(options.toString())
            .isThrownBy(() -> Step.create(cache, options));
      }
    }
  }

  @Test
  void aFullBatchTakesNoMore() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, new StepOptions(2, 5, 0))) {
      Sequence first = cache.createSequence();
      Sequence second = cache.createSequence();
      int[] prompt = prompt(6);
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.add(first, prompt, 0, 6))
          .withMessageContaining("6 more")
          .withMessageContaining("at most 5 (StepOptions.maxTokens)");
      assertThat(step.add(first, prompt, 0, 4)).isZero();
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.add(second, prompt, 0, 2));
      assertThat(step.add(second, 7)).isOne();
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.add(cache.createSequence(), 1))
          .withMessageContaining("2 entries")
          .withMessageContaining("StepOptions.maxEntries");
      step.run();
      assertThat(step.tokens()).isEqualTo(5);
    }
  }

  @Test
  void rangesThatAreNotInTheArray() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      int[][] ranges = {
        {-1, 1},
        {0, 0},
        {0, -1},
        {0, 4},
        {3, 1},
        {4, 1},
        {1, Integer.MAX_VALUE},
        {Integer.MAX_VALUE, 1},
        {Integer.MIN_VALUE, 3}
      };
      for (int[] range : ranges) {
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(() -> step.add(sequence, new int[3], range[0], range[1]))
            .withMessageContaining("offset is " + range[0] + " and count is " + range[1]);
      }
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(step::run);
    }
  }

  @Test
  void entriesThatAreNotThere() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, new StepOptions(4, 16, 3))) {
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.sample(0, Sampling.greedy()))
          .withMessageContaining("entry is 0, there are 0");
      int entry = step.add(cache.createSequence(), 1);
      step.add(cache.createSequence(), 1);
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.sample(entry, Sampling.greedy().withTopLogProbabilities(4)))
          .withMessageContaining("topLogProbabilities is 4")
          .withMessageContaining("at most 3");
      step.sample(entry, Sampling.greedy());
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.sampledToken(entry));
      step.run();
      for (int bad : new int[] {-1, 2, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(() -> step.sampledToken(bad));
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(() -> step.sampledLogProbability(bad));
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(() -> step.topToken(bad, 0));
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(() -> step.logits(bad, new float[512]));
      }
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.logits(0, new float[511]))
          .withMessageContaining("511");
      assertThatExceptionOfType(InvalidArgumentException.class)
          .as("an entry that did not sample")
          .isThrownBy(() -> step.logits(1, new float[512]));
    }
  }

  @Test
  void aBatchRunsOnce() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      assertThatExceptionOfType(InvalidArgumentException.class)
          .as("an empty batch")
          .isThrownBy(step::run);
      step.sample(step.add(sequence, 1), Sampling.greedy());
      step.run();
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(step::run)
          .withMessageContaining("clear()");
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.add(sequence, 1));
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.sample(0, Sampling.greedy()));
      assertThat(sequence.length()).isOne();
      step.clear();
      assertThatExceptionOfType(InvalidArgumentException.class)
          .as("results of a batch that is gone")
          .isThrownBy(() -> step.sampledToken(0));
    }
  }

  @Test
  void tokensOutsideTheVocabulary() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      for (int token : new int[] {-1, 512, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
        step.clear();
        step.add(sequence, token);
        assertThatExceptionOfType(InvalidArgumentException.class)
            .isThrownBy(step::run)
            .withMessageContaining("entry 0")
            .withMessageContaining(Integer.toString(token));
      }
      assertThat(sequence.length()).isZero();
      assertThat(cache.freeBlocks()).isEqualTo(4);
    }
  }

  @Test
  void aSequenceTwiceInOneBatch() {
    try (KvCache cache = objects.cache(4);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      step.add(sequence, 1);
      step.add(sequence, 2);
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(step::run)
          .withMessageContaining("entry 1");
      assertThat(sequence.length()).isZero();
    }
  }

  @Test
  void aSequenceOfAnotherCache() {
    try (KvCache cache = objects.cache(1);
        KvCache other = objects.cache(1);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence foreign = other.createSequence();
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> step.add(foreign, 1))
          .withMessageContaining("another KV cache");
    }
  }

  @Test
  void aSequenceLongerThanTheContext() {
    try (KvCache cache = objects.cache(64);
        Step step = Step.create(cache, StepOptions.defaults())) {
      Sequence sequence = cache.createSequence();
      step.add(sequence, prompt(513), 0, 513);
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(step::run)
          .withMessageContaining("513")
          .withMessageContaining("512");
      step.clear();
      step.add(sequence, prompt(512), 0, 512);
      step.run();
      step.clear();
      step.add(sequence, 1);
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(step::run);
      assertThat(sequence.length()).isEqualTo(512);
    }
  }

  @Test
  void aFolderWithoutAModel(@TempDir Path folder) throws IOException {
    Path missing = folder.resolve("no such folder é");
    for (Path path : List.of(missing, folder)) {
      assertThatExceptionOfType(ModelIoException.class)
          .isThrownBy(() -> Model.load(objects.device, path, ModelOptions.defaults()))
          .withMessageContaining(path.toString())
          .satisfies(e -> assertThat(e.status()).isEqualTo(Status.IO_ERROR));
    }
    Files.writeString(folder.resolve("config.json"), "{\"architectures\": [");
    assertThatExceptionOfType(InvalidModelException.class)
        .isThrownBy(() -> Model.inspect(folder, ModelOptions.defaults()));
    Files.writeString(
        folder.resolve("config.json"),
        Files.readString(Golden.MODEL.resolve("config.json"))
            .replace("LlamaForCausalLM", "GPT2LMHeadModel"));
    assertThatExceptionOfType(UnsupportedException.class)
        .isThrownBy(() -> Model.inspect(folder, ModelOptions.defaults()))
        .withMessageContaining("GPT2LMHeadModel");
  }

  @Test
  void modelOptionsOutOfRange() {
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> Model.inspect(Golden.MODEL, ModelOptions.defaults().withLayerLimit(-1)));
  }

  @Test
  void devicesThatAreNotThere() {
    assertThatExceptionOfType(DeviceUnavailableException.class)
        .isThrownBy(() -> Device.open(DeviceOptions.cuda(4711)))
        .satisfies(
            e -> {
              assertThat(e.status()).isEqualTo(Status.DEVICE_UNAVAILABLE);
              assertThat(e.getMessage()).contains("CUDA");
            });
    assertThatExceptionOfType(DeviceUnavailableException.class)
        .isThrownBy(() -> Device.probe(DeviceKind.CUDA, 4711))
        .withMessageContaining("CUDA");
    Device.probe(DeviceKind.CPU, 0);
    Device.probe(DeviceKind.CPU_REFERENCE, 0);
    for (int threads : new int[] {-1, 1025}) {
      assertThatExceptionOfType(InvalidArgumentException.class)
          .isThrownBy(() -> Device.open(DeviceOptions.cpu().withThreads(threads)))
          .withMessageContaining(Integer.toString(threads));
    }
  }

  @Test
  void aClosedObjectSaysSo() {
    Device device = Device.open(DeviceOptions.of(DeviceKind.CPU_REFERENCE));
    Model model = Model.load(device, Golden.MODEL, ModelOptions.defaults());
    KvCache cache = KvCache.create(model, KvCacheOptions.ofBlocks(4));
    Sequence sequence = cache.createSequence();
    Sequence other = cache.createSequence();
    Step step = Step.create(cache, StepOptions.defaults());

    sequence.close();
    sequence.close();
    assertClosed(sequence::length);
    assertClosed(sequence::fork);
    assertClosed(() -> sequence.truncate(0));
    assertClosed(sequence::swapOut);
    assertClosed(sequence::swapIn);
    assertClosed(sequence::isSwapped);
    assertClosed(sequence::info);
    assertClosed(sequence::blockTable);
    assertClosed(() -> step.add(sequence, 1));
    assertThat(cache.statistics().sequences()).isOne();

    step.sample(step.add(other, 1), Sampling.greedy());
    step.run();
    step.close();
    step.close();
    assertClosed(step::clear);
    assertClosed(() -> step.add(other, 1));
    assertClosed(() -> step.add(other, new int[] {1}, 0, 1));
    assertClosed(() -> step.sample(0, Sampling.greedy()));
    assertClosed(step::run);
    assertClosed(step::entries);
    assertClosed(step::tokens);
    assertClosed(step::nanoseconds);
    assertClosed(step::blocksTaken);
    assertClosed(step::copiedOnWrite);
    assertClosed(() -> step.sampledToken(0));
    assertClosed(() -> step.sampledLogProbability(0));
    assertClosed(() -> step.topToken(0, 0));
    assertClosed(() -> step.topLogProbability(0, 0));
    assertClosed(() -> step.logits(0, new float[512]));

    Step orphan = Step.create(cache, StepOptions.defaults());
    orphan.add(other, 1);
    cache.close();
    cache.close();
    assertClosed(cache::createSequence);
    assertClosed(cache::statistics);
    assertClosed(cache::freeBlocks);
    assertClosed(cache::freeSwapBlocks);
    assertClosed(() -> Step.create(cache, StepOptions.defaults()));
    assertClosed(other::length);
    assertClosed(orphan::run);
    assertClosed(() -> orphan.add(other, 1));
    other.close();
    orphan.close();

    model.close();
    model.close();
    assertClosed(model::info);
    assertClosed(() -> KvCache.create(model, KvCacheOptions.ofBlocks(4)));

    device.close();
    device.close();
    assertClosed(device::info);
    assertClosed(() -> Model.load(device, Golden.MODEL, ModelOptions.defaults()));
  }

  @Test
  void whatWasMadeFromAClosedObjectStaysUsable() {
    Device device = Device.open(DeviceOptions.of(DeviceKind.CPU_REFERENCE));
    Model model = Model.load(device, Golden.MODEL, ModelOptions.defaults());
    device.close();
    KvCache cache = KvCache.create(model, KvCacheOptions.ofBlocks(4));
    model.close();
    try (cache;
        Step step = Step.create(cache, StepOptions.defaults())) {
      step.sample(step.add(cache.createSequence(), 1), Sampling.greedy());
      step.run();
      assertThat(step.sampledToken(0)).isEqualTo(Golden.firstCase().greedyIds()[0]);
      float[] logits = new float[512];
      step.logits(0, logits);
      assertThat(logits[step.sampledToken(0)]).isFinite();
    }
  }

  private static void assertClosed(Runnable call) {
    assertThatExceptionOfType(ClosedException.class)
        .isThrownBy(call::run)
        .withMessageContaining("closed")
        .satisfies(e -> assertThat(e.status()).isEqualTo(Status.CLOSED));
  }

  private static int[] prompt(int length) {
    int[] tokens = new int[length];
    tokens[0] = 1;
    for (int i = 1; i < length; i++) {
      tokens[i] = 260 + i * 37 % 250;
    }
    return tokens;
  }
}
