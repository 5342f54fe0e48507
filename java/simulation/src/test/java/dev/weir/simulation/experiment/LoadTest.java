package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ForkJoinWorkerThread;
import org.junit.jupiter.api.Test;

class LoadTest {
  @Test
  void theCapIsSearchedInTheThreadsOfTheContext() {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    RequestLengths lengths = RequestLengths.fixed("20/20", 20, 20);
    ServingSetup setup =
        new ServingSetup(
            lengths,
            new KvCapacity(100, 16, 0),
            new BatchLimits(64, 2048),
            batch -> {
              threads.add(Thread.currentThread());
              return 0.01;
            });
    ExperimentContext context =
        new ExperimentContext(1, 1, ExperimentData.shipped(), 1, Progress.NONE);
    assertThat(Load.of(lengths, 500, 1).bestCap(context, setup, 100, 8)).isBetween(4, 64);
    // Here the setup is planned, not served.
    threads.remove(Thread.currentThread());
    assertThat(threads).hasSize(1).noneMatch(ForkJoinWorkerThread.class::isInstance);
  }
}
