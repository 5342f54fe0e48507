package dev.weir.engine;

import dev.weir.runtime.gpu.Gpu;
import dev.weir.runtime.gpu.GpuMonitor;
import dev.weir.runtime.gpu.GpuMonitorException;
import dev.weir.runtime.gpu.GpuReading;
import java.time.Duration;
import java.util.Optional;

/**
 * Reads the state of a GPU once a second, on a thread of its own: the driver takes milliseconds to
 * answer, or longer. What asks for the state gets the last reading and waits for nothing.
 */
final class GpuSampler implements AutoCloseable {
  /** Where readings come from. Used by one thread. */
  interface Source extends AutoCloseable {
    GpuReading read() throws GpuMonitorException;

    @Override
    void close();
  }

  /** Opens a source, which may take long. */
  interface Opener {
    Source open() throws GpuMonitorException;
  }

  private static final System.Logger LOGGER = System.getLogger(GpuSampler.class.getName());
  private static final Duration INTERVAL = Duration.ofSeconds(1);

  private final Opener opener;
  private final Duration interval;
  private final Thread thread =
      Thread.ofPlatform().name("weir-gpu").daemon(true).unstarted(this::run);
  private volatile GpuReading latest;
  private volatile String problem;

  GpuSampler(Opener opener, Duration interval) {
    this.opener = opener;
    this.interval = interval;
  }

  /** Samples the GPU at that place until it is closed. */
  static GpuSampler start(String pciBusId) {
    GpuSampler sampler = new GpuSampler(() -> open(pciBusId), INTERVAL);
    sampler.start();
    return sampler;
  }

  private static Source open(String pciBusId) throws GpuMonitorException {
    GpuMonitor monitor = GpuMonitor.open();
    Optional<Gpu> gpu = monitor.find(pciBusId);
    if (gpu.isEmpty()) {
      monitor.close();
      throw new GpuMonitorException("NVML knows no GPU at " + pciBusId);
    }
    return new Source() {
      @Override
      public GpuReading read() throws GpuMonitorException {
        return monitor.read(gpu.get());
      }

      @Override
      public void close() {
        monitor.close();
      }
    };
  }

  void start() {
    thread.start();
  }

  /** Empty before the first one, and where there is none. */
  Optional<GpuReading> latest() {
    return Optional.ofNullable(latest);
  }

  /** Why there is no reading any more, or never was one. */
  Optional<String> problem() {
    return Optional.ofNullable(problem);
  }

  /** Does not wait for the driver. */
  @Override
  public void close() {
    thread.interrupt();
  }

  private void run() {
    try (Source source = opener.open()) {
      while (!Thread.interrupted()) {
        latest = source.read();
        Thread.sleep(interval);
      }
    } catch (GpuMonitorException e) {
      problem = e.getMessage();
      latest = null;
      LOGGER.log(System.Logger.Level.DEBUG, "the GPU is not monitored: {0}", e.getMessage());
    } catch (InterruptedException _) {
      // Closed.
    }
  }
}
