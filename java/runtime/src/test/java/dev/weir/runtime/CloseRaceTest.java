package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** close() under the hands of other threads gives ClosedException and nothing else. */
class CloseRaceTest {
  private static final int ROUNDS = 200;
  private static final int WARM_UP = 3;

  private static TestObjects objects;

  @BeforeAll
  static void load() {
    objects = new TestObjects(Precision.DEFAULT);
  }

  @AfterAll
  static void close() {
    objects.close();
  }

  @Test
  void closingAStepThatIsRunAndRead() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      try (KvCache cache = objects.cache(8)) {
        Step step = Step.create(cache, new StepOptions(1, 8, 2));
        Sequence sequence = cache.createSequence();
        race(
            step::close,
            () -> decode(step, sequence),
            () -> decode(step, sequence),
            () -> read(step),
            () -> read(step));
      }
    }
  }

  @Test
  void closingASequenceThatIsStepped() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      // Twice what the sequence takes, because a fork that lives at that moment makes it copy
      // blocks.
      try (KvCache cache = objects.cache(16);
          Step step = Step.create(cache, new StepOptions(1, 8, 2))) {
        Sequence sequence = cache.createSequence();
        race(
            sequence::close,
            () -> decode(step, sequence),
            () -> sequence.fork().close(),
            sequence::info,
            sequence::blockTable);
        assertThat(cache.statistics().sequences()).isZero();
        assertThat(cache.freeBlocks()).isEqualTo(16);
      }
    }
  }

  @Test
  void closingACacheInUse() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      KvCache cache = objects.cache(8);
      Step step = Step.create(cache, new StepOptions(1, 8, 2));
      Sequence sequence = cache.createSequence();
      race(
          cache::close,
          () -> decode(step, sequence),
          () -> cache.createSequence().close(),
          cache::statistics,
          cache::freeBlocks,
          () -> Step.create(cache, new StepOptions(1, 8, 2)).close());
      step.close();
    }
  }

  @Test
  void closingAModelInUse() throws Exception {
    for (int round = 0; round < ROUNDS / 10; round++) {
      Model model = Model.load(objects.device, Golden.MODEL, ModelOptions.defaults());
      race(
          model::close,
          () -> KvCache.create(model, KvCacheOptions.ofBlocks(1)).close(),
          model::info);
    }
  }

  @Test
  void closingADeviceInUse() throws Exception {
    for (int round = 0; round < ROUNDS / 10; round++) {
      Device device = Device.open(DeviceOptions.of(DeviceKind.CPU_REFERENCE));
      race(
          device::close,
          () -> Model.load(device, Golden.MODEL, ModelOptions.defaults()).close(),
          device::info);
    }
  }

  /**
   * Repeats every action in a thread of its own until it says the object is closed, and closes it
   * meanwhile.
   */
  private static void race(Runnable close, Runnable... actions) throws Exception {
    CountDownLatch busy = new CountDownLatch(actions.length * WARM_UP);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (Runnable action : actions) {
      tasks.add(
          () -> {
            try {
              while (true) {
                action.run();
                busy.countDown();
              }
            } catch (ClosedException expected) {
              return null;
            } finally {
              drain(busy);
            }
          });
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(actions.length)) {
      List<Future<Void>> running = tasks.stream().map(threads::submit).toList();
      busy.await();
      close.run();
      for (Future<Void> future : running) {
        try {
          future.get();
        } catch (ExecutionException e) {
          throw new AssertionError(
              "a thread got something else than ClosedException", e.getCause());
        }
      }
    }
  }

  private static void drain(CountDownLatch latch) {
    while (latch.getCount() > 0) {
      latch.countDown();
    }
  }

  private static void decode(Step step, Sequence sequence) {
    try {
      if (sequence.length() > 100) {
        sequence.truncate(0);
      }
      step.clear();
      step.sample(step.add(sequence, 300), Sampling.greedy().withTopLogProbabilities(2));
      step.run();
      step.sampledToken(0);
    } catch (InvalidArgumentException betweenTwoThreads) {
      // Another thread has cleared, filled or run the batch that both use; the message is not this
      // test's matter.
      return;
    }
  }

  private static void read(Step step) {
    try {
      step.sampledToken(0);
      step.sampledLogProbability(0);
      step.topToken(0, 1);
      step.topLogProbability(0, 1);
      step.logits(0, new float[512]);
    } catch (InvalidArgumentException noResultsNow) {
      // Another thread has cleared the batch.
      return;
    }
  }
}
