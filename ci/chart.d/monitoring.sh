monitoring() { :; }
