//! Local clusters and load: what dev, demo, bench and the tests stand on
