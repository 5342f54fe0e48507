package dev.weir.engine;

import dev.weir.engine.tokenizer.StreamingDecoder;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/** What an {@link EngineLoop} runs on, for tests that stand in for a part of it. */
final class LoopFixture implements AutoCloseable {
  static final KvCapacity MEMORY = new KvCapacity(50, 16, 0);
  static final BatchLimits LIMITS = new BatchLimits(3, 100);
  static final int TOKENS = 10;

  final Counters counters = new Counters();
  final AtomicInteger released = new AtomicInteger();
  final KvCache cache;
  private final Device device;
  private final Model model;
  private final Step step;

  LoopFixture() {
    this(KvCacheOptions.ofBlocks(MEMORY.blocks()));
  }

  LoopFixture(KvCacheOptions options) {
    device = Device.open(DeviceOptions.cpu());
    model = Model.load(device, TestModel.STORIES, ModelOptions.defaults());
    cache = KvCache.create(model, options);
    step = Step.create(cache, new StepOptions(LIMITS.maxSequences(), LIMITS.maxTokens(), 0));
  }

  static Scheduler fcfs() {
    return Schedulers.create(
        "fcfs",
        new SchedulerConfig(
            MEMORY,
            LIMITS,
            Preemption.RECOMPUTE,
            new IterationCost(1e-3, 0),
            Optional.empty(),
            SchedulerOptions.none()));
  }

  EngineLoop loop(Mailbox mailbox, Scheduler scheduler) {
    return loop(mailbox, scheduler, Step::run, Duration.ZERO);
  }

  EngineLoop loop(
      Mailbox mailbox, Scheduler scheduler, Consumer<Step> stepRunner, Duration stepTimeout) {
    return new EngineLoop(
        mailbox,
        counters,
        scheduler,
        new IterationPlan(MEMORY, LIMITS, Preemption.RECOMPUTE),
        cache,
        step,
        stepRunner,
        stepTimeout,
        released::incrementAndGet,
        new Listeners(),
        model.info(),
        System.nanoTime());
  }

  /** A request for {@link #TOKENS} tokens. */
  static Generation submit(Mailbox mailbox, long id) {
    int[] prompt = {1, 403, 407};
    Generation generation =
        new Generation(
            id, prompt, token -> null, mailbox::cancel, task -> Thread.ofVirtual().start(task));
    mailbox.submit(
        new ActiveRequest(
            generation,
            new Request(id, 0, prompt.length, TOKENS, Request.UNKNOWN),
            prompt,
            Sampling.greedy(),
            true,
            new TextStream(StreamingDecoder.silent(), List.of()),
            System.nanoTime(),
            ActiveRequest.NO_DEADLINE));
    return generation;
  }

  @Override
  public void close() {
    step.close();
    cache.close();
    model.close();
    device.close();
  }
}
