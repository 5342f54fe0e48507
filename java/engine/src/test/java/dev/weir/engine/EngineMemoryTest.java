package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.MemoryPlan;
import dev.weir.runtime.Precision;
import java.util.Locale;
import org.junit.jupiter.api.Test;

/** The budget of an engine on the CPU, whose memory is what the machine has at the moment. */
class EngineMemoryTest {
  private static final long GIB = 1L << 30;

  private static EngineOptions.Builder stories() {
    return TestModel.inFp32();
  }

  /** Two layers of Llama-2-7B: 64 KiB of keys and values a token in fp32. */
  private static EngineOptions.Builder llama() {
    return EngineOptions.builder(TestModel.LLAMA_2_7B)
        .precision(Precision.FP32)
        .randomWeights(0)
        .layerLimit(2);
  }

  @Test
  void whatIsGivenIsAbsolute() {
    MemoryPlan blocks = Engine.planMemory(stories().kvBlocks(77).build());
    assertThat(blocks.kvBlocks()).isEqualTo(77);
    MemoryPlan bytes = Engine.planMemory(stories().kvBytes(10 * blocks.kvBlockBytes() + 1).build());
    assertThat(bytes.kvBlocks()).isEqualTo(10);
    assertThat(bytes.kvTokens()).isEqualTo(160);
    assertThat(bytes.largestBatch(16)).isEqualTo(10);
    assertThat(bytes.largestBatch(17)).isEqualTo(5);
    assertThat(bytes.largestBatch(161)).isZero();
  }

  @Test
  void byDefaultTheCpuHasRoomFor64Contexts() {
    assertThat(Engine.planMemory(stories().build()).kvTokens()).isEqualTo(64 * 512);
    assertThat(Engine.planMemory(stories().blockSize(100).build()).kvBlocks()).isEqualTo(64 * 6);
  }

  @Test
  void byDefaultTheCpuGivesNoMoreThanItShould() {
    MemoryPlan plan = Engine.planMemory(llama().build());
    assertThat(plan.kvBlocks())
        .isEqualTo(Math.min(4 * GIB, plan.kvAvailable()) / plan.kvBlockBytes());
  }

  @Test
  void theRestIsWhatTheReserveLeaves() {
    MemoryPlan plan =
        Engine.planMemory(llama().kvRest().reserveMemory(GIB).maxSequences(60_000).build());
    assertThat(plan.kvBlocks())
        .isEqualTo(Math.max(0, plan.kvAvailable() - GIB) / plan.kvBlockBytes());
  }

  @Test
  void theRestIsNoMoreThanCanBeUsed() {
    EngineOptions options = stories().kvRest().reserveMemory(0).maxSequences(10).build();
    MemoryPlan plan = Engine.planMemory(options);
    assertThat(plan.kvTokens()).isEqualTo(10 * 512);
    assertThatCode(() -> Engine.checkFits(options, plan)).doesNotThrowAnyException();
  }

  @Test
  void thePoolThatIsPlannedIsThePoolThatThereIs() {
    EngineOptions options = stories().kvRest().reserveMemory(0).maxSequences(10).build();
    try (Engine engine = Engine.start(options)) {
      assertThat(engine.memory().tokens()).isEqualTo(10 * 512);
    }
  }

  @Test
  void aPoolThatDoesNotFitIsRefusedWithTheWholeBudget() {
    EngineOptions options = llama().kvBytes(1L << 50).build();
    MemoryPlan plan = Engine.planMemory(options);
    assertThatThrownBy(() -> Engine.checkFits(options, plan))
        .isInstanceOfSatisfying(
            DeviceMemoryException.class,
            e -> {
              assertThat(e.needed()).isEqualTo(plan.weights() + plan.workspace() + plan.kvBytes());
              assertThat(e.available()).isEqualTo(plan.deviceAvailable());
            })
        .hasMessageContainingAll(
            String.format(Locale.ROOT, "weights %,d", plan.weights()),
            String.format(Locale.ROOT, "workspace %,d", plan.workspace()),
            String.format(Locale.ROOT, "others use %,d", plan.otherUsers()),
            "KV pool 1,125,899,906,842,624");
    long most = (plan.deviceAvailable() - plan.weights() - plan.workspace()) / plan.kvBlockBytes();
    assertThatThrownBy(() -> Engine.checkFits(options, plan))
        .hasMessageContaining(
            most > 0
                ? String.format(Locale.ROOT, "Set kvBlocks to at most %,d", most)
                : "layerLimit");
  }

  @Test
  void theSwapSpaceOfTheCpuIsOfTheSameMemory() {
    EngineOptions options = llama().kvBlocks(1).swapBlocks(1L << 30).build();
    MemoryPlan plan = Engine.planMemory(options);
    assertThatThrownBy(() -> Engine.checkFits(options, plan))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessageContaining(String.format(Locale.ROOT, "swap %,d", plan.swapBytes()));
  }

  @Test
  void aReserveThatLeavesNothingIsNamed() {
    EngineOptions options = stories().kvRest().reserveMemory(Long.MAX_VALUE).build();
    MemoryPlan plan = Engine.planMemory(options);
    assertThat(plan.kvBlocks()).isZero();
    assertThatThrownBy(() -> Engine.checkFits(options, plan))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessageContainingAll("kept free 9,223,372,036,854,775,807", "smaller reserveMemory");
  }

  @Test
  void weightsThatDoNotFitAreRefusedBeforeTheyAreLoaded() {
    EngineOptions options =
        EngineOptions.builder(TestModel.STORIES)
            .maxBatchTokens(1 << 20)
            .maxSequences(65_536)
            .build();
    MemoryPlan plan = Engine.planMemory(options);
    MemoryPlan small =
        new MemoryPlan(
            16, 2 * GIB, plan.weights(), plan.weights(), GIB, 0, 0, plan.kvBlockBytes(), 0, 0, 0);
    assertThatThrownBy(() -> Engine.checkFits(options, small))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessageContaining(
            "Choose a smaller precision, layerLimit, maxBatchTokens or maxSequences");
  }
}
