package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.runtime.gpu.GpuMonitorException;
import dev.weir.runtime.gpu.GpuReading;
import java.time.Duration;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GpuSamplerTest {
  private static final Duration SHORT = Duration.ofMillis(1);

  /** Counts its readings in their {@code memoryUsed}. */
  private static final class FakeSource implements GpuSampler.Source {
    private final long failsAt;
    private final CountDownLatch closed = new CountDownLatch(1);
    private long readings;

    FakeSource(long failsAt) {
      this.failsAt = failsAt;
    }

    @Override
    public GpuReading read() throws GpuMonitorException {
      if (++readings == failsAt) {
        throw new GpuMonitorException("GPU is lost");
      }
      return new GpuReading(
          System.nanoTime(),
          1000,
          readings,
          OptionalInt.of(50),
          OptionalInt.empty(),
          OptionalDouble.empty(),
          OptionalDouble.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty());
    }

    @Override
    public void close() {
      closed.countDown();
    }
  }

  @Test
  void readsAgainAndAgainUntilItIsClosed() throws InterruptedException {
    FakeSource source = new FakeSource(0);
    try (GpuSampler sampler = new GpuSampler(() -> source, SHORT)) {
      assertThat(sampler.latest()).isEmpty();
      sampler.start();
      while (sampler.latest().map(GpuReading::memoryUsed).orElse(0L) < 3) {
        Thread.onSpinWait();
      }
      assertThat(sampler.problem()).isEmpty();
    }
    source.closed.await();
  }

  @Test
  void aGpuThatIsLostHasNoReadingButAReason() throws InterruptedException {
    FakeSource source = new FakeSource(3);
    try (GpuSampler sampler = new GpuSampler(() -> source, SHORT)) {
      sampler.start();
      source.closed.await();
      while (sampler.latest().isPresent()) {
        Thread.onSpinWait();
      }
      assertThat(sampler.problem()).contains("GPU is lost");
    }
  }

  @Test
  void withoutADriverThereIsAReason() {
    GpuSampler.Opener none =
        () -> {
          throw new GpuMonitorException("there is no driver");
        };
    try (GpuSampler sampler = new GpuSampler(none, SHORT)) {
      sampler.start();
      while (sampler.problem().isEmpty()) {
        Thread.onSpinWait();
      }
      assertThat(sampler.problem()).contains("there is no driver");
      assertThat(sampler.latest()).isEmpty();
    }
  }

  /** A driver that hangs does not hold up who closes. */
  @Test
  void closingDoesNotWaitForTheDriver() throws InterruptedException {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch answer = new CountDownLatch(1);
    GpuSampler.Opener hanging =
        () -> {
          asked.countDown();
          while (answer.getCount() > 0) {
            Thread.onSpinWait();
          }
          return new FakeSource(0);
        };
    GpuSampler sampler = new GpuSampler(hanging, SHORT);
    sampler.start();
    asked.await();
    sampler.close();
    assertThat(sampler.latest()).isEmpty();
    answer.countDown();
  }
}
