package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.engine.TestModel.GoldenCase;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceFailedException;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.MemoryPlan;
import dev.weir.runtime.Precision;
import dev.weir.scheduling.Preemption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The engine with the device kind CUDA, on the emulator of native/emulator: what the CUDA backend
 * computes, takes of the device and does when that fails. Nothing here says anything about a GPU.
 */
@Tag("emulated")
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EmulatedDeviceTest {
  /** Steps with less between the two best logits may come out differently in 16 bits. */
  private static final float MARGIN = 0.1f;

  private static final long MIB = 1L << 20;
  private static final int BLOCKS = 64;

  private Emulator emulator;

  /** Before each test, so that each is counted where it is skipped. */
  @BeforeEach
  void find() {
    emulator = Emulator.ofThisJvm();
    emulator.reset();
  }

  @AfterEach
  void everythingIsGivenBack() {
    if (emulator != null) {
      emulator.reset();
      assertThat(emulator.live()).isZero();
    }
  }

  private static EngineOptions.Builder options() {
    return EngineOptions.builder(TestModel.STORIES)
        .device(DeviceKind.CUDA)
        .scheduler("fcfs")
        .kvBlocks(BLOCKS)
        .maxSequences(8)
        .maxBatchTokens(128);
  }

  private static GenerationRequest request(int maxTokens) {
    return GenerationRequest.builder("Once upon a time")
        .maxTokens(maxTokens)
        .ignoreEos(true)
        .build();
  }

  private static List<Generation> submit(Engine engine, int count, int maxTokens) {
    List<Generation> generations = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      generations.add(engine.submit(request(maxTokens)));
    }
    return generations;
  }

  @Test
  void describesTheDevice() {
    try (Device device = Device.open(DeviceOptions.cuda(0))) {
      DeviceInfo info = device.info();
      assertThat(info.kind()).isEqualTo(DeviceKind.CUDA);
      assertThat(info.precision()).isEqualTo(Precision.FP16);
      assertThat(info.computeCapability()).isIn(80, 90);
      assertThat(info.multiprocessors()).isPositive();
      assertThat(info.pciBusId()).matches("\\p{XDigit}{4}:\\p{XDigit}{2}:\\p{XDigit}{2}\\.0");
      assertThat(info.memoryTotal()).isGreaterThanOrEqualTo(info.memoryAvailable());
    }
  }

  /** All golden stories at once, in a pool that is too small for them. */
  @ParameterizedTest
  @CsvSource({
    "FP16, DEFAULT, RECOMPUTE, true",
    "FP16, DEFAULT, SWAP, false",
    "BF16, DEFAULT, RECOMPUTE, true"
  })
  void tellsTheGoldenStories(
      Precision precision, Precision kvPrecision, Preemption preemption, boolean graphs) {
    List<GoldenCase> cases = TestModel.goldenCases();
    int tokens = 40;
    EngineOptions options =
        options()
            .precision(precision)
            .kvPrecision(kvPrecision)
            .graphs(graphs)
            .preemption(preemption)
            .swapBlocks(preemption == Preemption.SWAP ? 200 : 0)
            .kvBlocks(20)
            .build();
    try (Engine engine = Engine.start(options)) {
      List<Generation> generations = new ArrayList<>();
      for (GoldenCase golden : cases) {
        generations.add(
            engine.submit(
                GenerationRequest.builder(golden.prompt_ids())
                    .maxTokens(tokens)
                    .ignoreEos(true)
                    .build()));
      }
      int compared = 0;
      for (int i = 0; i < cases.size(); i++) {
        int[] ids = generations.get(i).await().ids();
        assertThat(ids).hasSize(tokens);
        int decided = decidedSteps(cases.get(i), tokens);
        assertThat(Arrays.copyOf(ids, decided))
            .as("case %d", i)
            .isEqualTo(Arrays.copyOf(cases.get(i).greedy_ids(), decided));
        compared += decided;
      }
      assertThat(compared).isGreaterThan(tokens * cases.size() / 3);
      assertThat(engine.statistics().evictions()).isPositive();
      assertThat(engine.statistics().kv().used()).isZero();
      assertThat(engine.gpuMonitorProblem()).isNotNull();
    }
    assertThat(emulator.kernels()).isPositive();
    assertThat(emulator.graphLaunches() > 0).isEqualTo(graphs);
  }

  private static int decidedSteps(GoldenCase golden, int most) {
    for (int step = 0; step < most; step++) {
      if (golden.greedy_margin()[step] < MARGIN) {
        return step;
      }
    }
    return most;
  }

  @Test
  void aStickyErrorEndsTheEngineWithinASecond() {
    Engine engine = Engine.start(options().build());
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    List<Generation> generations = submit(engine, 12, 100);
    gate.awaitReached();
    emulator.failLaunch(10, Emulator.ILLEGAL_ADDRESS);
    gate.open();
    for (Generation generation : generations) {
      assertThat(generation.completion())
          .failsWithin(10, TimeUnit.SECONDS)
          .withThrowableThat()
          .havingCause()
          .isInstanceOf(GenerationFailedException.class)
          .havingCause()
          .isInstanceOf(DeviceFailedException.class);
    }
    assertThat(engine.state()).isEqualTo(EngineState.FAILED);
    assertThatThrownBy(() -> engine.submit(request(1)))
        .isInstanceOfSatisfying(
            RejectedRequestException.class,
            e -> assertThat(e.reason()).isEqualTo(RejectionReason.ENGINE_FAILED));
    assertThat(engine.statistics().failed()).isEqualTo(12);
    assertThat(engine.statistics().kv().capacity()).isEqualTo(BLOCKS);
    engine.close();

    emulator.reset();
    try (Engine next = Engine.start(options().build())) {
      assertThat(next.submit(request(5)).await().ids()).hasSize(5);
    }
  }

  @Test
  void memoryExhaustedInAStepFailsThatBatchOnly() {
    try (Engine engine = Engine.start(options().graphs(false).maxSequences(3).build())) {
      EngineGate gate = new EngineGate();
      engine.addListener(gate);
      List<Generation> generations = submit(engine, 7, 20);
      gate.awaitReached();
      emulator.failCall("cudaLaunchKernelExC", 10, Emulator.OUT_OF_MEMORY);
      gate.open();
      int failed = 0;
      for (Generation generation : generations) {
        try {
          assertThat(generation.await().ids()).hasSize(20);
        } catch (GenerationFailedException e) {
          assertThat(e).hasCauseInstanceOf(DeviceMemoryException.class);
          failed++;
        }
      }
      assertThat(failed).isEqualTo(3);
      assertThat(engine.state()).isEqualTo(EngineState.RUNNING);
      assertThat(engine.statistics().failedIterations()).isOne();
      assertThat(engine.statistics().kv().used()).isZero();
      assertThat(engine.submit(request(5)).await().ids()).hasSize(5);
    }
  }

  @Test
  void aDeviceThatHangsFailsEverythingThatWaits() {
    Engine engine = Engine.start(options().stepTimeout(Duration.ofMillis(500)).build());
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    List<Generation> generations = submit(engine, 12, 100);
    gate.awaitReached();
    emulator.hangLaunch(10, 3_000);
    gate.open();
    for (Generation generation : generations) {
      assertThatThrownBy(generation::await)
          .isInstanceOf(GenerationFailedException.class)
          .hasCauseInstanceOf(StepTimeoutException.class);
    }
    assertThat(engine.state()).isEqualTo(EngineState.FAILED);
    assertThat(engine.statistics().stalled()).isTrue();
    engine.close();
    // The engine's thread comes back and releases the device.
    while (emulator.live() > 0) {
      Thread.onSpinWait();
    }
  }

  @Test
  void whatIsLeftOfTheDeviceGoesToTheKvPool() {
    emulator.setDeviceMemory(256 * MIB);
    EngineOptions.Builder builder =
        EngineOptions.builder(TestModel.STORIES)
            .device(DeviceKind.CUDA)
            .scheduler("fcfs")
            .maxSequences(64)
            .maxBatchTokens(128);
    MemoryPlan all = Engine.planMemory(builder.reserveMemory(0).build());
    assertThat(all.deviceTotal()).isEqualTo(256 * MIB);
    assertThat(all.graphs()).isPositive();
    assertThat(all.kvAvailable())
        .isEqualTo(all.deviceAvailable() - all.weights() - all.workspace() - all.graphs());
    assertThat(all.kvTokens()).as("all that can be used").isEqualTo(64 * 512);

    EngineOptions options = builder.reserveMemory(all.kvAvailable() - 8 * MIB).build();
    MemoryPlan plan = Engine.planMemory(options);
    assertThat(plan.kvBlocks()).isEqualTo(8 * MIB / plan.kvBlockBytes());
    try (Engine engine = Engine.start(options)) {
      assertThat(engine.memory().blocks()).isEqualTo(plan.kvBlocks());
      assertThat(engine.submit(request(5)).await().ids()).hasSize(5);
    }
  }

  @Test
  void whatDoesNotFitIsRefusedBeforeAnythingIsLoaded() {
    emulator.setDeviceMemory(256 * MIB);
    assertThatThrownBy(() -> Engine.start(options().kvBytes(256 * MIB).build()))
        .isInstanceOfSatisfying(
            DeviceMemoryException.class,
            e -> {
              assertThat(e.needed()).isGreaterThan(256 * MIB);
              assertThat(e.available()).isLessThanOrEqualTo(256 * MIB);
            })
        .hasMessageContainingAll("weights", "workspace", "graphs", "KV pool", "Set kvBlocks to");
    assertThatThrownBy(() -> Engine.start(options().kvRest().build()))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessageContainingAll("kept free 1,073,741,824", "reserveMemory");
  }

  @ParameterizedTest
  @CsvSource({"INT8", "FP8"})
  void quantisedKeysAndValuesTakeLess(Precision kvPrecision) {
    MemoryPlan plain = Engine.planMemory(options().build());
    MemoryPlan quantised = Engine.planMemory(options().kvPrecision(kvPrecision).build());
    assertThat(quantised.kvBlockBytes()).isLessThan(plain.kvBlockBytes());
    try (Engine engine = Engine.start(options().kvPrecision(kvPrecision).build())) {
      assertThat(engine.submit(request(5)).await().ids()).hasSize(5);
    }
  }
}
