package dev.weir.runtime.gpu;

/** What {@link JavaCppNvmlTest} runs in a JVM of its own: opens the monitor and prints all. */
final class MonitorProbe {
  private MonitorProbe() {}

  public static void main(String[] arguments) {
    try (GpuMonitor monitor = GpuMonitor.open()) {
      System.out.println("driver " + monitor.driverVersion());
      System.out.println("cuda " + monitor.cudaVersion());
      monitor.driverTooOld().ifPresent(text -> System.out.println("old " + text));
      for (Gpu gpu : monitor.gpus()) {
        System.out.println("gpu " + gpu);
        GpuReading reading = monitor.read(gpu);
        System.out.println("memory " + reading.memoryUsed() + " of " + reading.memoryTotal());
        System.out.println(
            "busy " + reading.utilization() + " memory " + reading.memoryUtilization());
        System.out.println("power " + reading.powerWatts() + " of " + reading.powerLimitWatts());
        System.out.println("temperature " + reading.temperature());
        System.out.println(
            "clocks " + reading.clockMegahertz() + " memory " + reading.memoryClockMegahertz());
      }
    } catch (GpuMonitorException e) {
      System.out.println("failed " + e.getMessage());
      try {
        GpuMonitor.open().close();
        System.out.println("opened by a second attempt");
      } catch (GpuMonitorException again) {
        System.out.println("again " + again.getMessage());
      }
    }
  }
}
